package tasktrace

import (
	"context"

	"github.com/hibiken/asynq"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/asynq-collector/asynq-collector/instrumentation/go/internal/errortype"
)

// Version is the version of this module. It is the version of the spans' instrumentation scope.
const Version = "0.1.0"

const scope = "github.com/asynq-collector/asynq-collector/instrumentation/go/tasktrace"

// An Option changes a default of [Middleware], [NewClient] or [NewPayloadClient].
type Option func(*settings)

type settings struct {
	provider   trace.TracerProvider
	propagator propagation.TextMapPropagator
	errorType  func(error) string
	attributes func(context.Context, *asynq.Task) []attribute.KeyValue
}

// WithTracerProvider makes spans by this provider. The default is OpenTelemetry's global one, at the time of each span.
func WithTracerProvider(provider trace.TracerProvider) Option {
	return func(s *settings) { s.provider = provider }
}

// WithPropagator writes and reads the trace context by this propagator. The default is OpenTelemetry's global one. The
// collector restores lost context from traceparent and tracestate only.
func WithPropagator(propagator propagation.TextMapPropagator) Option {
	return func(s *settings) { s.propagator = propagator }
}

// WithErrorType names the error of a failed attempt: the attribute error.type, and the label of
// asynq_task_failures_total. The name must have few values: no ids, no texts. The default, also where the function returns an empty name, is [ErrorType].
func WithErrorType(name func(error) string) Option {
	return func(s *settings) { s.errorType = name }
}

// WithAttributes adds attributes to the span of each attempt. Only Middleware uses it.
func WithAttributes(attributes func(context.Context, *asynq.Task) []attribute.KeyValue) Option {
	return func(s *settings) { s.attributes = attributes }
}

// ErrorType returns the Go type of the error, such as *net.OpError. Types that only carry a text or wrap another error
// (of fmt.Errorf, errors.New and errors.Join) are passed over for the first type of its chain that says more.
func ErrorType(err error) string { return errortype.Of(err) }

// failure returns the name of an error, which is never empty.
func (s settings) failure(err error) string {
	if s.errorType != nil {
		if name := s.errorType(err); name != "" {
			return name
		}
	}
	return ErrorType(err)
}

func newSettings(options []Option) settings {
	var s settings
	for _, option := range options {
		option(&s)
	}
	return s
}

func (s settings) tracer() trace.Tracer {
	provider := s.provider
	if provider == nil {
		provider = otel.GetTracerProvider()
	}
	return provider.Tracer(scope, trace.WithInstrumentationVersion(Version))
}

func (s settings) inject(ctx context.Context, into map[string]string) {
	s.textMap().Inject(ctx, propagation.MapCarrier(into))
}

func (s settings) extract(ctx context.Context, from map[string]string) context.Context {
	return s.textMap().Extract(ctx, propagation.MapCarrier(from))
}

func (s settings) textMap() propagation.TextMapPropagator {
	if s.propagator != nil {
		return s.propagator
	}
	return otel.GetTextMapPropagator()
}
