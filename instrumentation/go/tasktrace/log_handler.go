package tasktrace

import (
	"context"
	"log/slog"

	"github.com/hibiken/asynq"
	"go.opentelemetry.io/otel/trace"
)

// A LogHandler adds to each line of slog's …Context functions what finds its trace and its task: trace_id and span_id where there
// is a span, task_id and queue in a handler of Asynq. They stand at the top of the line, also for a logger with groups.
type LogHandler struct {
	next slog.Handler // With all attributes and groups.

	// What the logger has been given since its first group; top is the handler before it.
	top  slog.Handler
	then []func(slog.Handler) slog.Handler
}

// NewLogHandler returns a handler that hands each line on to the next one.
func NewLogHandler(next slog.Handler) *LogHandler { return &LogHandler{next: next, top: next} }

// Enabled says what the next handler says.
func (h *LogHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle hands the line on with the names of its trace and task.
func (h *LogHandler) Handle(ctx context.Context, record slog.Record) error {
	names := namesOf(ctx)
	switch {
	case len(names) == 0:
		return h.next.Handle(ctx, record)
	case len(h.then) == 0:
		record = record.Clone()
		record.AddAttrs(names...)
		return h.next.Handle(ctx, record)
	}
	// What is added to the record would stand in the group.
	handler := h.top.WithAttrs(names)
	for _, apply := range h.then {
		handler = apply(handler)
	}
	return handler.Handle(ctx, record)
}

// WithAttrs returns a handler that adds these to each line, too.
func (h *LogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(h.then) == 0 {
		return NewLogHandler(h.next.WithAttrs(attrs))
	}
	return h.with(func(handler slog.Handler) slog.Handler { return handler.WithAttrs(attrs) })
}

// WithGroup returns a handler that puts what follows into a group; trace and task stay outside.
func (h *LogHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return h.with(func(handler slog.Handler) slog.Handler { return handler.WithGroup(name) })
}

func (h *LogHandler) with(apply func(slog.Handler) slog.Handler) *LogHandler {
	then := append(h.then[:len(h.then):len(h.then)], apply)
	return &LogHandler{next: apply(h.next), top: h.top, then: then}
}

func namesOf(ctx context.Context) []slog.Attr {
	var names []slog.Attr
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		names = append(names, slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	if id, ok := asynq.GetTaskID(ctx); ok {
		queue, _ := asynq.GetQueueName(ctx)
		names = append(names, slog.String("task_id", id), slog.String("queue", queue))
	}
	return names
}
