// Package exportgrpc sends spans to asynq-collector by OTLP/gRPC.
package exportgrpc

import (
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// Patience is how long a batch is tried again while the collector is unavailable.
const Patience = time.Minute

// New returns an exporter to the collector's socket (/run/asynq-collector/otlp.sock) or address (127.0.0.1:4317), for
// tasktrace.Start. Neither it nor the collector's restart loses a span, as long as that takes less than [Patience].
//
// The connection is not encrypted. The options are applied after the package's own, and win.
func New(ctx context.Context, target string, options ...otlptracegrpc.Option) (*otlptrace.Exporter, error) {
	if strings.HasPrefix(target, "/") {
		target = "unix://" + target
	}
	reconnect := grpc.ConnectParams{MinConnectTimeout: 5 * time.Second, Backoff: backoff.Config{
		BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second}}
	return otlptracegrpc.New(ctx, append([]otlptracegrpc.Option{
		otlptracegrpc.WithEndpoint(target),
		otlptracegrpc.WithInsecure(),
		otlptracegrpc.WithTimeout(Patience), // The time of a batch with all its repetitions.
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{Enabled: true, MaxElapsedTime: Patience,
			InitialInterval: 250 * time.Millisecond, MaxInterval: 2 * time.Second}),
		otlptracegrpc.WithDialOption(grpc.WithConnectParams(reconnect)),
	}, options...)...)
}
