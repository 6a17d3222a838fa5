package apicheck

import (
	"context"
	"strings"
	"testing"
)

const description = `{"paths":{"/things":{"get":{"responses":{"200":{}}},"post":{"requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/thing"}}}},"responses":{"200":{},"400":{}}}},
	"/things/{id}":{"delete":{"parameters":[{"name":"id","in":"path","schema":{"type":"integer"}}],"responses":{"200":{},"404":{},"500":{}}}}},
	"components":{"schemas":{"thing":{"type":"object","properties":{"name":{"type":"string"},"parts":{"type":"array","items":{"$ref":"#/components/schemas/thing"}}},"required":["name"]}}}}`

// TestFindings: each sort of wrong answer is found, and a right one is not.
func TestFindings(t *testing.T) {
	right := func(r Request) Answer {
		if r.Method == "POST" && !strings.HasPrefix(r.Body, "{") {
			return Answer{400, "application/json", []byte(`{"text":"no object"}`)}
		}
		return Answer{200, "application/json", []byte(`{"data":{"id":7}}`)}
	}
	for name, tt := range map[string]struct {
		wrong func(Request) Answer
		want  string
	}{
		"right":       {right, ""},
		"status":      {func(Request) Answer { return Answer{418, "application/json", []byte(`{"text":"x"}`)} }, "the status is not described"},
		"failure":     {func(Request) Answer { return Answer{500, "application/json", []byte(`{"text":"x"}`)} }, "a failure"},
		"no JSON":     {func(Request) Answer { return Answer{200, "application/json", []byte(`<html>`)} }, "the answer is no JSON"},
		"no text":     {func(Request) Answer { return Answer{404, "application/json", []byte(`{}`)} }, "the refusal has no text"},
		"a page":      {func(Request) Answer { return Answer{404, "text/html", []byte(`{"text":"x"}`)} }, "the refusal is no JSON"},
		"half a text": {func(Request) Answer { return Answer{404, "application/json", []byte(`{"text`)} }, "the refusal is no JSON"},
	} {
		bodies := map[string]bool{}
		rep, err := Run(t.Context(), []byte(description), 1, 60, func(_ context.Context, r Request) (Answer, error) {
			bodies[r.Body] = true
			if r.Path == "/things/7" && tt.want != "" || r.Method == "DELETE" && tt.want != "" {
				return tt.wrong(r), nil
			}
			return right(r), nil
		})
		if err != nil || rep.Operations != 3 || rep.Requests != 180 || len(bodies) < 30 {
			t.Errorf("%s: %+v, %d bodies: %v", name, rep, len(bodies), err)
		}
		if found := len(rep.Findings) > 0; found != (tt.want != "") || found && !strings.Contains(rep.Findings[0].String(), tt.want) {
			t.Errorf("%s: found %v, want %s", name, rep.Findings, tt.want)
		}
	}
	if _, err := Run(t.Context(), []byte("{"), 1, 1, nil); err == nil {
		t.Error("a document that is none was read")
	}
}
