package tasktrace

import (
	"context"
	"time"

	"github.com/hibiken/asynq"

	"github.com/asynq-collector/asynq-collector/instrumentation/go/internal/carrier"
)

// NewTask is the type of [asynq.NewTaskWithHeaders], which Asynq has from 0.26 on.
type NewTask func(typename string, payload []byte, headers map[string]string, options ...asynq.Option) *asynq.Task

// A Client enqueues tasks that carry their trace, and since when they can be run, in their headers. Payloads stay as they
// are, and so do the locks of [asynq.Unique], which are made of type and payload. It is safe for concurrent use.
type Client struct {
	client   *asynq.Client
	newTask  NewTask
	settings settings
}

// NewClient returns a client that enqueues through the given one. Give it asynq.NewTaskWithHeaders as newTask: this module
// takes that as an argument in order to compile with an Asynq that has no headers yet.
func NewClient(client *asynq.Client, newTask NewTask, options ...Option) *Client {
	return &Client{client, newTask, newSettings(options)}
}

// Enqueue enqueues a task, and makes a span of it below the one in ctx. Its queue and its time have to be among these
// options. The error is Asynq's own.
func (c *Client) Enqueue(
	ctx context.Context, typename string, payload []byte, options ...asynq.Option,
) (*asynq.TaskInfo, error) {
	return c.settings.send(ctx, typename, options, func(ctx context.Context, due time.Time) (*asynq.TaskInfo, error) {
		headers := map[string]string{}
		carrier.Stamp(headers, time.Now(), due)
		c.settings.inject(ctx, headers)
		return c.client.EnqueueContext(ctx, c.newTask(typename, payload, headers), options...)
	})
}

// Close closes the client that it enqueues through.
func (c *Client) Close() error { return c.client.Close() }
