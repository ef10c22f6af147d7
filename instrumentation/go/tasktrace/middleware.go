package tasktrace

import (
	"context"

	"github.com/hibiken/asynq"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/asynq-collector/asynq-collector/instrumentation/go/internal/carrier"
)

// Middleware makes a span of each attempt at a task, below the span that enqueued it. It has to be the first middleware, so that
// the others and the handler run within the span. An attempt fails with the error or the panic of its handler.
func Middleware(options ...Option) asynq.MiddlewareFunc {
	s := newSettings(options)
	return func(next asynq.Handler) asynq.Handler {
		return asynq.HandlerFunc(func(ctx context.Context, task *asynq.Task) error { return s.process(ctx, task, next) })
	}
}

func (s settings) process(ctx context.Context, task *asynq.Task, next asynq.Handler) error {
	carried := carrier.Read(headers(task), task.Payload())
	ctx = s.extract(ctx, carried.Header)
	queue, _ := asynq.GetQueueName(ctx)
	ctx, span := s.tracer().Start(ctx, "process "+queue, trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(s.describe(ctx, task, queue, carried)...))
	failure, kind := "panic", "panic"
	defer func() { // Also when the handler panics. It does not recover: Asynq's error names the line that panicked.
		if kind != "" {
			span.SetStatus(codes.Error, failure)
			span.SetAttributes(attribute.String("error.type", kind)) // The label of asynq_task_failures_total.
		}
		span.End()
	}()
	err := next.ProcessTask(ctx, task)
	failure, kind = "", ""
	if err != nil {
		failure, kind = err.Error(), s.failure(err)
	}
	return err
}

// describe returns the attributes that the collector reads, and those of [WithAttributes].
func (s settings) describe(ctx context.Context, task *asynq.Task, queue string, carried carrier.Carried) []attribute.KeyValue {
	id, _ := asynq.GetTaskID(ctx)
	retries, _ := asynq.GetRetryCount(ctx)
	attributes := []attribute.KeyValue{
		attribute.String("messaging.system", "asynq"),
		attribute.String("messaging.operation.name", "process"),
		attribute.String("messaging.operation.type", "process"),
		attribute.String("messaging.destination.name", queue),
		attribute.String("messaging.message.id", id),
		attribute.String("asynq.task.type", task.Type()),
		attribute.Int("asynq.task.retry_count", retries),
	}
	if carried.EnqueuedAt > 0 {
		attributes = append(attributes, attribute.Int64("asynq.task.enqueued_at", carried.EnqueuedAt))
	}
	if carried.ProcessAt > 0 {
		attributes = append(attributes, attribute.Int64("asynq.task.process_at", carried.ProcessAt))
	}
	if s.attributes != nil {
		attributes = append(attributes, s.attributes(ctx, task)...)
	}
	return attributes
}

// headers returns the task's headers, which Asynq has from 0.26 on.
func headers(task *asynq.Task) map[string]string {
	if has, ok := any(task).(interface{ Headers() map[string]string }); ok {
		return has.Headers()
	}
	return nil
}
