package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"reflect"
	"strconv"

	"catenary/internal/fault"
	"catenary/internal/server/rights"
	"catenary/internal/server/store"
)

// A call is what a handler may know of its request beside the body.
type call struct {
	*http.Request
	user   store.User    // who asks; zero on a route that is open
	origin netip.Addr    // from where, as server.caller says; zero if nobody has looked
	rights rights.Rights // of the user
	large  *place        // for its body, if that is large
	// opening ends the call when its caller may not go on; nil: nothing does.
	opening *opening
}

// number returns a number from the path. One that cannot be read names
// nothing.
func (c call) number(name, noun string) (uint64, error) {
	n, err := strconv.ParseUint(c.PathValue(name), 10, 64)
	if err != nil {
		return 0, fault.New(fault.Invalid, "%q is not the number of a %s", c.PathValue(name), noun)
	}
	return n, nil
}

// How a reply stands in the body. Most are wrapped in {"data": …}.
type (
	bare  struct{ value any } // JSON without the envelope
	plain string              // text/plain
)

// A handler serves one route for a known caller. The error that it returns has
// not been told to anyone yet.
type handler func(w http.ResponseWriter, c call) error

// What serves a route: a handler, or one that is known to take and to answer
// values of certain types, so that the description of the API can say them.
type service interface {
	handle(w http.ResponseWriter, c call) error
}

func (h handler) handle(w http.ResponseWriter, c call) error { return h(w, c) }

// typedHandler is a handler of a body of type in (nil: none) and an answer of type out.
type typedHandler struct {
	handler
	in, out reflect.Type
	spared  bool // the body may be missing
}

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// answers says of what type a handler's answer is.
func answers[Out any](h handler) typedHandler {
	return typedHandler{handler: h, out: reflect.TypeFor[Out]()}
}

// get adapts a function of a request without a body.
func get[Out any](f func(context.Context, call) (Out, error)) typedHandler {
	return answers[Out](func(w http.ResponseWriter, c call) error {
		out, err := f(c.Context(), c)
		if err != nil {
			return err
		}
		return reply(w, out)
	})
}

// post adapts a function of a request with a JSON body of at most max bytes.
func post[In, Out any](max int64, f func(context.Context, call, In) (Out, error)) typedHandler {
	return posting(max, false, f)
}

// postSpared is post of a body that programs leave out when they have nothing
// to say.
func postSpared[In, Out any](max int64, f func(context.Context, call, In) (Out, error)) typedHandler {
	return posting(max, true, f)
}

func posting[In, Out any](max int64, spared bool, f func(context.Context, call, In) (Out, error)) typedHandler {
	h := answers[Out](func(w http.ResponseWriter, c call) error {
		body, err := readBody(w, c, max)
		if err != nil {
			return err
		}
		var in In
		if !spared || len(bytes.TrimSpace(body)) > 0 {
			err = decode(body, &in)
		}
		if err != nil {
			return err
		}
		out, err := f(c.Context(), c, in)
		if err != nil {
			return err
		}
		return reply(w, out)
	})
	h.in, h.spared = reflect.TypeFor[In](), spared
	return h
}

// reply writes a reply. It returns an error only before the first byte.
func reply(w http.ResponseWriter, out any) error {
	switch out := out.(type) {
	case plain:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		return send(w, []byte(out))
	case bare:
		return sendJSON(w, http.StatusOK, out.value)
	}
	return sendJSON(w, http.StatusOK, map[string]any{"data": out})
}

func sendJSON(w http.ResponseWriter, status int, v any) error {
	b, err := marshal(v)
	if err != nil {
		return fmt.Errorf("reply: %w", err)
	}
	beginJSON(w, status)
	return send(w, b)
}

// beginJSON sends the head of an answer. From here on no error can be told.
func beginJSON(w http.ResponseWriter, status int) {
	// Exactly this: programs compare it as a whole.
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
}

func send(w http.ResponseWriter, b []byte) error {
	if _, err := w.Write(b); err != nil {
		return nil // the caller has hung up; there is nobody left to tell
	}
	return nil
}

// marshal is json.Marshal that leaves <, > and & as they are.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}

// A refusal is an error with a status of its own.
type refusal struct {
	status int
	error
}

func (r refusal) Unwrap() error { return r.error }

var statuses = map[fault.Kind]int{
	fault.Internal:    http.StatusInternalServerError,
	fault.Invalid:     http.StatusBadRequest,
	fault.Stranger:    http.StatusForbidden, // programs log in again when they see it
	fault.Denied:      http.StatusForbidden,
	fault.NotFound:    http.StatusNotFound,
	fault.Conflict:    http.StatusBadRequest,
	fault.Unavailable: http.StatusServiceUnavailable,
}

// statusOf derives the status from what an error is, and the text for the one
// who asked.
func statusOf(err error) (status int, text string) {
	if r, ok := errors.AsType[refusal](err); ok {
		return r.status, r.Error()
	}
	kind := fault.KindOf(err)
	if kind == fault.Internal {
		return statuses[kind], "Internal error: its cause is in the server's log" // the cause is for us
	}
	return statuses[kind], err.Error()
}

// missing says in the form that programs know that a thing is not there.
func missing(noun, what string) error {
	return fault.New(fault.NotFound, "REST Object Not Found Exception:  %sNotFound: The requested %s was not found", noun, what)
}

// orMissing puts missing in the place of a NotFound error.
func orMissing(err error, noun, what string) error {
	if fault.KindOf(err) == fault.NotFound {
		return missing(noun, what)
	}
	return err
}
