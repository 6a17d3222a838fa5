package main

import (
	"reflect"
	"testing"
	"time"

	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/server/api"
)

type noGroups struct{}

func (noGroups) GroupByID(int64) (question.Group, bool)    { return question.Group{}, false }
func (noGroups) GroupByName(string) (question.Group, bool) { return question.Group{}, false }

// TestAskingIsToldWhole: what the API knows of an asking reaches the server.
func TestAskingIsToldWhole(t *testing.T) {
	from := api.Asking{
		Question: question.Question{ComputerID: true}, Expire: time.Minute, ComputerID: true, UserID: 1,
		Groups: noGroups{}, Rights: question.Member{ID: 1}, Context: question.Member{ID: 2}, ContextGroup: 2, Scope: "within 1",
		Archive: true, Priority: 1, Preview: &sensor.Sensor{}, Name: "n", Index: 1, Persona: 1, InWords: true, Tracks: 1,
	}
	for _, told := range []any{from, askingOf(from)} {
		v := reflect.ValueOf(told)
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				t.Errorf("%T: nothing is said of %s", told, v.Type().Field(i).Name)
			}
		}
	}
}
