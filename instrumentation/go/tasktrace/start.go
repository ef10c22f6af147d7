package tasktrace

import (
	"context"
	"errors"
	"reflect"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// patience is how long a batch is tried again while the collector is unavailable. Both exporters have the same.
const patience = time.Minute

// Start sends the spans of this process through the exporter, and sets the global tracer provider and propagator of
// OpenTelemetry. The service's name is OTEL_SERVICE_NAME.
//
// The function that it returns sends the last spans: call it when all else has ended, with time enough. The options are
// applied after the package's own.
//
// Without an exporter no span is sent. OpenTelemetry's error handler, which writes to standard error, is told so at once, and the
// returned function returns the error.
func Start(exporter sdktrace.SpanExporter, options ...sdktrace.TracerProviderOption) (stop func(context.Context) error) {
	if isNil(exporter) {
		otel.Handle(errNoExporter)
		return func(context.Context) error { return errNoExporter }
	}
	batches := sdktrace.WithBatcher(exporter,
		sdktrace.WithMaxQueueSize(16_384), // Spans that end while the collector is unavailable.
		sdktrace.WithExportTimeout(patience),
		sdktrace.WithBatchTimeout(time.Second),
	)
	provider := sdktrace.NewTracerProvider(append([]sdktrace.TracerProviderOption{batches}, options...)...)
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	return provider.Shutdown
}

var errNoExporter = errors.New("tasktrace: Start was given no exporter, so that no span is sent: " +
	"look at the error of exportgrpc.New or exporthttp.New")

// isNil is true for a nil pointer as well, which the interface hides: the exporter of a New whose error was not looked at.
func isNil(exporter sdktrace.SpanExporter) bool {
	value := reflect.ValueOf(exporter)
	return !value.IsValid() || value.Kind() == reflect.Pointer && value.IsNil()
}
