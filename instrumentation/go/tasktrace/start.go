package tasktrace

import (
	"context"
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
func Start(exporter sdktrace.SpanExporter, options ...sdktrace.TracerProviderOption) (stop func(context.Context) error) {
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
