package api

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

const (
	tagPublish     = "Publish"
	tagRooms       = "Rooms"
	tagConnections = "Connections"
	tagUsers       = "Users"

	exampleReceipt    = `{"delivered":2,"failed":0,"dropped":0}`
	exampleConnection = `{"connection":"c7Qm2x","session":"s9fKw3Vb","user":"ann","address":"203.0.113.7:51234"}`
)

var directBodies = map[string]string{"JSON": `{"data":"your turn to wash up"}`, "bytes": `{"base64":"AAH+/w=="}`}

// operation is one row of the API.
type operation struct {
	id, method, path, tag string
	summary, description  string
	errors                []int  // besides those of every operation
	example               string // of the answer

	// Of those that have a body.
	body    any
	bodies  map[string]string // examples by name
	maxBody int64
}

type output[T any] struct{ Body T }

// register adds an operation and its description.
func register[I, O any](described huma.API, o operation, do func(context.Context, *I) (O, error)) {
	codes := append([]int{http.StatusUnauthorized, http.StatusForbidden}, o.errors...)
	if o.body != nil {
		codes = append(codes, http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	codes = append(codes, http.StatusUnprocessableEntity)
	op := huma.Operation{
		OperationID: o.id, Method: o.method, Path: o.path, Tags: []string{o.tag}, Summary: o.summary, Description: o.description,
		Errors: codes, MaxBodyBytes: o.maxBody, Metadata: map[string]any{order: len(all(described.OpenAPI()))},
		Security: []map[string][]string{{"bearer": {}}, {"header": {}}, {}},
		Responses: map[string]*huma.Response{"200": {
			Description: "Done.",
			Content:     map[string]*huma.MediaType{"application/json": {Example: json.RawMessage(o.example)}},
		}},
	}
	huma.Register(described, op, func(ctx context.Context, in *I) (*output[O], error) {
		answer, err := do(ctx, in)
		if err != nil {
			return nil, err
		}
		return &output[O]{answer}, nil
	})
	if o.body == nil {
		return
	}
	// The body is described behind huma's back: what it knows of it reads too.
	spec := described.OpenAPI()
	examples := map[string]*huma.Example{}
	for name, text := range o.bodies {
		examples[name] = &huma.Example{Value: json.RawMessage(text)}
	}
	schema := spec.Components.Schemas.Schema(reflect.TypeOf(o.body), true, "")
	spec.Paths[o.path].Post.RequestBody = &huma.RequestBody{
		Required: true, Description: "At most " + strconv.FormatInt(o.maxBody>>20, 10) + " MiB.",
		Content: map[string]*huma.MediaType{"application/json": {Schema: schema, Examples: examples}},
	}
}

// describe says what is true of all operations.
func describe(spec *huma.OpenAPI) {
	spec.Info.Description = "What a backend does to the rooms and clients of a Roomcast server. Names in paths are escaped: the room a/b is a%2Fb. " +
		"Errors are problem details (RFC 9457); detail says what is wrong and what to do. " +
		"A server with API keys wants one in every request; one that has none answers only programs on its own machine."
	spec.Tags = []*huma.Tag{
		{Name: tagPublish, Description: "Send messages. The answer comes when they wait to be written to the sockets, and says for how many."},
		{Name: tagRooms, Description: "A room exists while it has a member."},
		{Name: tagConnections, Description: "A connection is one client that speaks the protocol roomcast.v1 at /ws."},
		{Name: tagUsers, Description: "A user is all connections whose tokens name it. One who has no connection is no error."},
	}
	spec.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer": {Type: "http", Scheme: "bearer", Description: "An API key, as Authorization: Bearer KEY."},
		"header": {Type: "apiKey", In: "header", Name: "X-API-Key", Description: "An API key."},
	}
}

// meanings are what the errors mean, whatever the operation is.
var meanings = map[int]string{
	http.StatusBadRequest:            "The body is not JSON in UTF-8.",
	http.StatusUnauthorized:          "The API key is missing or wrong.",
	http.StatusForbidden:             "The server has no API keys, and the request does not come from a program on its own machine.",
	http.StatusNotFound:              "There is no such connection.",
	http.StatusRequestTimeout:        "The body did not come in time.",
	http.StatusGone:                  "That part of the history is not kept any more.",
	http.StatusConflict:              "A connection is in as many rooms as it may be.",
	http.StatusRequestEntityTooLarge: "The body is too large.",
	http.StatusUnsupportedMediaType:  "The body does not say that it is application/json.",
	http.StatusUnprocessableEntity:   "A parameter or field is missing, unknown, or not as described.",
	http.StatusInternalServerError:   "A fault of the server.",
	http.StatusServiceUnavailable:    "What lies behind the rooms is away, another server has not answered in time, or as many revocations are remembered as can be.",
}

// order is where the metadata of an operation have its place among the others.
const order = "order"

// all returns every operation, in the order in which they were registered.
func all(spec *huma.OpenAPI) []*huma.Operation {
	var ops []*huma.Operation
	for _, item := range spec.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Delete} {
			if op != nil {
				ops = append(ops, op)
			}
		}
	}
	slices.SortFunc(ops, func(a, b *huma.Operation) int { return a.Metadata[order].(int) - b.Metadata[order].(int) })
	return ops
}

// asked are the schemas of bodies: what is not in them is refused.
var asked = []string{"RoomMessage", "Message", "Except", "Batch", "Publication", "Address", "Revocation"}

// complete adds to the document what huma leaves to be said.
func complete(spec *huma.OpenAPI) {
	for _, op := range all(spec) {
		for code, meaning := range meanings {
			if answer := op.Responses[strconv.Itoa(code)]; answer != nil {
				answer.Description = meaning
			}
		}
	}
	schemas := spec.Components.Schemas.Map()
	schemas["BatchResult"].Required = nil // either the members of a receipt are there or an error
	for name, schema := range schemas {
		if !slices.Contains(asked, name) {
			schema.AdditionalProperties = nil // answers may get more fields one day
		}
	}
}
