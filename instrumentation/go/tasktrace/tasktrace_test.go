package tasktrace

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// Compiles with every Asynq: the collector's own names are checked against real servers in examples.
func record() (*tracetest.SpanRecorder, []Option) {
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	return recorder, []Option{WithTracerProvider(provider), WithPropagator(propagation.TraceContext{})}
}

func attributes(span sdktrace.ReadOnlySpan) map[string]any {
	found := map[string]any{}
	for _, each := range span.Attributes() {
		found[string(each.Key)] = each.Value.AsInterface()
	}
	return found
}

func attempt(t *testing.T, handler asynq.HandlerFunc, payload string, more ...Option) (sdktrace.ReadOnlySpan, error) {
	t.Helper()
	recorder, options := record()
	err := func() (err error) {
		defer func() {
			if reason := recover(); reason != nil {
				err = fmt.Errorf("panic: %v", reason)
			}
		}()
		handled := Middleware(append(options, more...)...)(handler)
		return handled.ProcessTask(context.Background(), asynq.NewTask("email:send", []byte(payload)))
	}()
	if len(recorder.Ended()) != 1 {
		t.Fatalf("%d spans", len(recorder.Ended()))
	}
	return recorder.Ended()[0], err
}

type declined struct{}

func (declined) Error() string { return "declined" }

func TestAnAttemptIsASpan(t *testing.T) {
	var inside trace.SpanContext
	span, err := attempt(t, func(ctx context.Context, task *asynq.Task) error {
		inside = trace.SpanContextFromContext(ctx)
		return nil
	}, `{"enqueued_at":5,"process_at":7,"header":{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}`)
	if err != nil || span.SpanKind() != trace.SpanKindConsumer || span.Status().Code != codes.Unset {
		t.Errorf("%v %v %v", err, span.SpanKind(), span.Status())
	}
	if !inside.Equal(span.SpanContext()) {
		t.Error("the handler runs outside the span")
	}
	if parent := span.Parent(); parent.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" ||
		parent.SpanID().String() != "b7ad6b7169203331" {
		t.Errorf("parent %v", parent)
	}
	found := attributes(span)
	for name, want := range map[string]any{
		"messaging.system": "asynq", "messaging.operation.type": "process", "asynq.task.type": "email:send",
		"asynq.task.retry_count": int64(0), "asynq.task.enqueued_at": int64(5), "asynq.task.process_at": int64(7),
	} {
		if found[name] != want {
			t.Errorf("%s is %v, want %v", name, found[name], want)
		}
	}
	if _, has := found["error.type"]; has {
		t.Error("error.type on a success")
	}
}

func TestATaskOfAnotherProducerHasNoStampAndNoParent(t *testing.T) {
	span, _ := attempt(t, func(context.Context, *asynq.Task) error { return nil }, `{"user":42}`)
	if span.Parent().IsValid() {
		t.Error("parent")
	}
	for _, name := range []string{"asynq.task.enqueued_at", "asynq.task.process_at"} {
		if value, has := attributes(span)[name]; has {
			t.Errorf("%s is %v", name, value)
		}
	}
}

func TestFailuresAreNamed(t *testing.T) {
	for name, c := range map[string]struct {
		handler asynq.HandlerFunc
		want    string
		options []Option
	}{
		"error":   {func(context.Context, *asynq.Task) error { return fmt.Errorf("a: %w", declined{}) }, "tasktrace.declined", nil},
		"nothing": {func(context.Context, *asynq.Task) error { return errors.New("") }, "*errors.errorString", nil},
		"panic":   {func(context.Context, *asynq.Task) error { panic("no") }, "panic", nil},
		"option": {func(context.Context, *asynq.Task) error { return declined{} }, "mine",
			[]Option{WithErrorType(func(error) string { return "mine" })}},
		"unnamed": {func(context.Context, *asynq.Task) error { return declined{} }, "tasktrace.declined",
			[]Option{WithErrorType(func(error) string { return "" })}},
	} {
		span, err := attempt(t, c.handler, "", c.options...)
		if err == nil || span.Status().Code != codes.Error || attributes(span)["error.type"] != c.want {
			t.Errorf("%s: %v %v %v", name, err, span.Status(), attributes(span)["error.type"])
		}
	}
}

func TestAttributesOfYourOwn(t *testing.T) {
	span, _ := attempt(t, func(context.Context, *asynq.Task) error { return nil }, "12345",
		WithAttributes(func(_ context.Context, task *asynq.Task) []attribute.KeyValue {
			return []attribute.KeyValue{attribute.Int("messaging.message.body.size", len(task.Payload()))}
		}))
	if got := attributes(span)["messaging.message.body.size"]; got != int64(5) {
		t.Error(got)
	}
}

func TestTheDestinationIsInTheOptions(t *testing.T) {
	at := time.Unix(1_760_000_000, 0)
	if queue, due := destination(nil); queue != "default" || !due.IsZero() {
		t.Error(queue, due)
	}
	if queue, due := destination([]asynq.Option{asynq.MaxRetry(3), asynq.Queue("mail"), asynq.ProcessAt(at)}); queue != "mail" || !due.Equal(at) {
		t.Error(queue, due)
	}
	if _, due := destination([]asynq.Option{asynq.ProcessAt(at), asynq.ProcessIn(time.Hour)}); time.Until(due) < 59*time.Minute {
		t.Error("not the last time that is said", due)
	}
}

func TestWhatCannotBeEnqueuedIsAnErrorOfTheSpan(t *testing.T) {
	recorder, options := record()
	client := NewPayloadClient(asynq.NewClient(asynq.RedisClientOpt{Network: "unix", Addr: "/nonexistent"}), options...)
	defer client.Close()
	if _, err := client.Enqueue(context.Background(), "email:send", &mail{User: 42}, asynq.Queue("mail")); err == nil {
		t.Fatal("no error")
	}
	span := recorder.Ended()[0]
	if span.SpanKind() != trace.SpanKindProducer || span.Status().Code != codes.Error || attributes(span)["messaging.destination.name"] != "mail" {
		t.Error(span.SpanKind(), span.Status(), attributes(span))
	}
}

type mail struct {
	Carrier
	User int `json:"user"`
}

func TestLinesOfALogNameTheTraceAtTheirTop(t *testing.T) {
	_, options := record()
	s := newSettings(options)
	ctx, span := s.tracer().Start(context.Background(), "x")
	defer span.End()
	for name, log := range map[string]func(*slog.Logger){
		"plain": func(l *slog.Logger) { l.InfoContext(ctx, "m", "a", 1) },
		"with":  func(l *slog.Logger) { l.With("a", 1).InfoContext(ctx, "m") },
		"group": func(l *slog.Logger) { l.WithGroup("g").InfoContext(ctx, "m", "a", 1) },
		"groups": func(l *slog.Logger) {
			l.With("b", 2).WithGroup("g").With("a", 1).WithGroup("h").InfoContext(ctx, "m", "c", 3)
		},
		"empty": func(l *slog.Logger) { l.WithGroup("").InfoContext(ctx, "m", "a", 1) },
	} {
		var out bytes.Buffer
		log(slog.New(NewLogHandler(slog.NewJSONHandler(&out, nil))))
		var line map[string]any
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if line["trace_id"] != span.SpanContext().TraceID().String() || line["span_id"] != span.SpanContext().SpanID().String() {
			t.Errorf("%s: %s", name, out.String())
		}
		inside := line
		if group, ok := line["g"].(map[string]any); ok {
			inside = group
		} else if name == "group" || name == "groups" {
			t.Errorf("%s has no group: %s", name, out.String())
		}
		if inside["a"] != 1.0 {
			t.Errorf("%s: %s", name, out.String())
		}
	}
}

func TestALineOutsideOfSpansStaysAsItIs(t *testing.T) {
	var ours, plain bytes.Buffer
	without := &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
	slog.New(NewLogHandler(slog.NewTextHandler(&ours, without))).WithGroup("g").Info("m", "a", 1)
	slog.New(slog.NewTextHandler(&plain, without)).WithGroup("g").Info("m", "a", 1)
	if ours.String() != plain.String() {
		t.Errorf("%q, not %q", ours.String(), plain.String())
	}
}

func TestWithoutAnExporterStartSaysSo(t *testing.T) {
	var told []error
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { told = append(told, err) }))
	defer otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { t.Log(err) }))
	before := otel.GetTracerProvider()
	for _, exporter := range []sdktrace.SpanExporter{nil, (*otlptrace.Exporter)(nil)} {
		told = nil
		stop := Start(exporter)
		if err := stop(context.Background()); err == nil || len(told) != 1 || told[0] != err {
			t.Errorf("%T: %v, told %v", exporter, err, told)
		}
	}
	if otel.GetTracerProvider() != before {
		t.Error("there is a provider all the same")
	}
}
