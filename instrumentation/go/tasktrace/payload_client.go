package tasktrace

import (
	"context"
	"encoding/json"
	"time"

	"github.com/hibiken/asynq"
)

// A Carrier is embedded in the type of a payload, which [PayloadClient] writes as JSON:
//
//	type Mail struct {
//		tasktrace.Carrier
//		User int `json:"user"`
//	}
//
// Handlers unmarshal the same type, or one without Carrier. It adds the keys header, enqueued_at and process_at to the
// payload's object.
type Carrier struct {
	Header     map[string]string `json:"header,omitempty"`      // traceparent, tracestate
	EnqueuedAt int64             `json:"enqueued_at,omitempty"` // Unix nanoseconds
	ProcessAt  int64             `json:"process_at,omitempty"`  // Unix seconds; 0 for a task that is not scheduled
}

func (c *Carrier) carrier() *Carrier { return c }

// A Payload is a pointer to a type that embeds [Carrier].
type Payload interface{ carrier() *Carrier }

// A PayloadClient enqueues tasks that carry their trace, and since when they can be run, in their JSON payload. It is for
// Asynq before 0.26. [asynq.Unique] does not find a second task of the same content then, because no two payloads are alike:
// use [asynq.TaskID] made of what has to be unique. It is safe for concurrent use.
type PayloadClient struct {
	client   *asynq.Client
	settings settings
}

// NewPayloadClient returns a client that enqueues through the given one.
func NewPayloadClient(client *asynq.Client, options ...Option) *PayloadClient {
	return &PayloadClient{client, newSettings(options)}
}

// Enqueue enqueues a task, and makes a span of it below the one in ctx. It sets the payload's Carrier, which therefore must not be
// shared by two calls at a time. The queue and the time have to be among these options. The error is Asynq's own, or that of
// encoding/json.
func (c *PayloadClient) Enqueue(
	ctx context.Context, typename string, payload Payload, options ...asynq.Option,
) (*asynq.TaskInfo, error) {
	return c.settings.send(ctx, typename, options, func(ctx context.Context, due time.Time) (*asynq.TaskInfo, error) {
		carrier := payload.carrier()
		*carrier = Carrier{Header: map[string]string{}, EnqueuedAt: time.Now().UnixNano()}
		if !due.IsZero() {
			carrier.ProcessAt = due.Unix()
		}
		c.settings.inject(ctx, carrier.Header)
		content, err := json.Marshal(payload)
		if err != nil {
			return nil, err
		}
		return c.client.EnqueueContext(ctx, asynq.NewTask(typename, content), options...)
	})
}

// Close closes the client that it enqueues through.
func (c *PayloadClient) Close() error { return c.client.Close() }
