// Package exporthttp sends spans to asynq-collector by OTLP/HTTP, for programs that are to do without gRPC.
package exporthttp

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"

	"github.com/asynq-collector/asynq-collector/instrumentation/go/internal/transport"
)

// Patience is how long a batch is tried again while the collector is unavailable.
const Patience = time.Minute

// New returns an exporter to the collector's socket (/run/asynq-collector/otlp.sock) or address (127.0.0.1:4318), for
// tasktrace.Start. Neither it nor the collector's restart loses a span, as long as that takes less than [Patience].
//
// The target may have a scheme: unix:///run/asynq-collector/otlp.sock, http://127.0.0.1:4318. One that is empty, or to which no span
// could be sent, is an error that says what to give.
//
// The connection is not encrypted. The options are applied after the package's own, and win.
func New(ctx context.Context, target string, options ...otlptracehttp.Option) (*otlptrace.Exporter, error) {
	to, err := transport.ParseTarget(target, "4318", `otlptracehttp.WithEndpointURL("https://host:port/v1/traces")`)
	if err != nil {
		return nil, fmt.Errorf("exporthttp: %w", err)
	}
	host := to.Address
	if to.Socket != "" {
		host = "localhost" // A name for the Host header; the transport knows the way.
	}
	return otlptracehttp.New(ctx, append([]otlptracehttp.Option{
		otlptracehttp.WithHTTPClient(&http.Client{Transport: transport.New(to), Timeout: 10 * time.Second}),
		otlptracehttp.WithEndpoint(host),
		otlptracehttp.WithURLPath("/v1/traces"), // The environment may have the path of another backend.
		otlptracehttp.WithInsecure(),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, MaxElapsedTime: Patience,
			InitialInterval: 250 * time.Millisecond, MaxInterval: 2 * time.Second}),
	}, options...)...)
}
