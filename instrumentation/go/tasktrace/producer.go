package tasktrace

import (
	"context"
	"time"

	"github.com/hibiken/asynq"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// destination is what the options of a task say: its queue, and the time before which it is not to be run, or zero.
func destination(options []asynq.Option) (queue string, due time.Time) {
	queue = "default"
	for _, option := range options {
		switch option.Type() {
		case asynq.QueueOpt:
			queue = option.Value().(string)
		case asynq.ProcessAtOpt:
			due = option.Value().(time.Time)
		case asynq.ProcessInOpt:
			due = time.Now().Add(option.Value().(time.Duration))
		}
	}
	return queue, due
}

// send makes the producer's span around what enqueues the task.
func (s settings) send(
	ctx context.Context, typename string, options []asynq.Option,
	enqueue func(ctx context.Context, due time.Time) (*asynq.TaskInfo, error),
) (*asynq.TaskInfo, error) {
	queue, due := destination(options)
	ctx, span := s.tracer().Start(ctx, "send "+queue, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
		attribute.String("messaging.system", "asynq"),
		attribute.String("messaging.operation.name", "send"),
		attribute.String("messaging.operation.type", "send"),
		attribute.String("messaging.destination.name", queue),
		attribute.String("asynq.task.type", typename)))
	defer span.End()
	if !due.IsZero() {
		span.SetAttributes(attribute.Int64("asynq.task.process_at", due.Unix()))
	}
	info, err := enqueue(ctx, due)
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
		span.SetAttributes(attribute.String("error.type", s.failure(err)))
		return nil, err
	}
	span.SetAttributes(attribute.String("messaging.message.id", info.ID))
	return info, nil
}
