package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// Once is the idempotency key in the header.
type Once struct {
	Key string `header:"Idempotency-Key" doc:"The same as idempotency_key in the body." example:"order-7-ready"`
}

// into puts the key into the message, unless the message has another one.
func (o Once) into(m *Message) *huma.ErrorModel {
	switch {
	case o.Key == "" || m.IdempotencyKey == o.Key:
	case m.IdempotencyKey != "":
		return invalid("body.idempotency_key", m.IdempotencyKey, "the header Idempotency-Key is %q: give one key", clip(o.Key))
	default:
		m.IdempotencyKey = o.Key
	}
	return nil
}

type roomInput struct {
	Room string `path:"room" doc:"Name of the room." example:"kitchen"`
	Once
	JSON jsonBody[RoomMessage]
}

type userMessageInput struct {
	User string `path:"user" doc:"The user: sub of the tokens." example:"ann"`
	Once
	JSON jsonBody[Message]
}

type connectionMessageInput struct {
	Connection string `path:"connection" doc:"Id of the connection." example:"c7Qm2x"`
	Once
	JSON jsonBody[Message]
}

type batchInput struct {
	Key  string `header:"Idempotency-Key" hidden:"true"` // to refuse it
	JSON jsonBody[Batch]
}

const onceDescription = " With an idempotency key it is done once: whoever repeats it within five minutes, or while it is being done, gets the first answer, " +
	"with replayed. An error is not remembered. In a room with a history that holds on all servers of a cluster. The key is good for one publication: with another one it is refused with 422."

// publishing adds the operations that publish.
func (a *API) publishing(described huma.API) {
	register(described, operation{
		id: "publish-to-room", method: http.MethodPost, path: "/v1/rooms/{room}/messages", tag: tagPublish, summary: "Publish to a room",
		description: "Sends a message to every member, save those that are excepted. A room that nobody is in is no error." + onceDescription,
		body:        RoomMessage{}, maxBody: maxBody, example: exampleReceipt,
		bodies: map[string]string{
			"JSON":            `{"data":{"text":"lunch is ready"}}`,
			"in a name":       `{"data":{"text":"lunch is ready"},"user":"ann","except":{"sessions":["s9fKw3Vb"]}}`,
			"bytes, the last": `{"base64":"AAH+/w==","key":"camera-1"}`,
		},
	}, func(ctx context.Context, in *roomInput) (Receipt, error) {
		return a.publishAlone(ctx, in.Once, Publication{To: Address{Room: in.Room}, RoomMessage: in.JSON.Value, fault: in.JSON.Fault})
	})
	register(described, operation{
		id: "publish-to-user", method: http.MethodPost, path: "/v1/users/{user}/messages", tag: tagPublish, summary: "Publish to a user",
		description: "Sends a direct message to every connection of the user. A user who has none is no error." + onceDescription,
		body:        Message{}, maxBody: maxBody, example: exampleReceipt, bodies: directBodies,
	}, func(ctx context.Context, in *userMessageInput) (Receipt, error) {
		return a.publishAlone(ctx, in.Once, Publication{To: Address{User: in.User}, RoomMessage: RoomMessage{Message: in.JSON.Value}, fault: in.JSON.Fault})
	})
	register(described, operation{
		id: "publish-to-connection", method: http.MethodPost, path: "/v1/connections/{connection}/messages", tag: tagPublish, summary: "Publish to a connection",
		description: "Sends a direct message to one connection." + onceDescription,
		body:        Message{}, maxBody: maxBody, errors: []int{http.StatusNotFound}, example: `{"delivered":1,"failed":0,"dropped":0}`, bodies: directBodies,
	}, func(ctx context.Context, in *connectionMessageInput) (Receipt, error) {
		to := Address{Connection: in.Connection}
		return a.publishAlone(ctx, in.Once, Publication{To: to, RoomMessage: RoomMessage{Message: in.JSON.Value}, fault: in.JSON.Fault})
	})
	register(described, operation{
		id: "publish-batch", method: http.MethodPost, path: "/v1/batch", tag: tagPublish, summary: "Publish many messages",
		description: "Up to 1,000 publications to rooms, users and connections, in at most 8 MiB. Each has a result of its own, and the answer is 200 even if all are errors. " +
			"What has not been begun after 20 seconds is not done any more, and has the status 503. " +
			"Idempotency keys are those of the publications: the header is refused.",
		body: Batch{}, maxBody: maxBatch,
		bodies: map[string]string{
			"a room and a user": `{"publications":[{"to":{"room":"kitchen"},"data":"lunch is ready"},{"to":{"user":"ann"},"data":"your turn to wash up","idempotency_key":"wash-up-7"}]}`,
		},
		example: `{"results":[{"delivered":2,"failed":0,"dropped":0},{"error":{"title":"Not Found","status":404,"detail":"…"}}],"errors":1}`,
	}, func(ctx context.Context, in *batchInput) (BatchReceipt, error) {
		switch {
		case in.JSON.Fault != nil:
			return BatchReceipt{}, in.JSON.Fault
		case in.Key != "":
			return BatchReceipt{}, invalid("header.Idempotency-Key", in.Key, `a batch has none: give each publication its "idempotency_key"`)
		}
		return a.batch(ctx, in.JSON.Value)
	})
}

// publishAlone does a publication that came by itself.
func (a *API) publishAlone(ctx context.Context, once Once, p Publication) (Receipt, error) {
	fault := p.fault
	if fault == nil {
		fault = once.into(&p.Message)
	}
	if fault != nil {
		return Receipt{}, fault
	}
	return a.publish(ctx, "body", p)
}
