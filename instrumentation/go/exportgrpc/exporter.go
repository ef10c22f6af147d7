// Package exportgrpc sends spans to asynq-collector by OTLP/gRPC.
package exportgrpc

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/resolver"

	"github.com/asynq-collector/asynq-collector/instrumentation/go/internal/transport"
)

// Patience is how long a batch is tried again while the collector is unavailable.
const Patience = time.Minute

// New returns an exporter to the collector's socket (/run/asynq-collector/otlp.sock) or address (127.0.0.1:4317), for
// tasktrace.Start. Neither it nor the collector's restart loses a span, as long as that takes less than [Patience].
//
// The target may have a scheme: unix:///run/asynq-collector/otlp.sock, http://127.0.0.1:4317, or one of gRPC's own, as in
// dns:///collector:4317. One that is empty, or to which no span could be sent, is an error that says what to give.
//
// The connection is not encrypted. The options are applied after the package's own, and win.
func New(ctx context.Context, target string, options ...otlptracegrpc.Option) (*otlptrace.Exporter, error) {
	name, err := nameOf(target)
	if err != nil {
		return nil, fmt.Errorf("exportgrpc: %w", err)
	}
	reconnect := grpc.ConnectParams{MinConnectTimeout: 5 * time.Second, Backoff: backoff.Config{
		BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second}}
	return otlptracegrpc.New(ctx, append([]otlptracegrpc.Option{
		otlptracegrpc.WithEndpoint(name),
		otlptracegrpc.WithInsecure(),
		otlptracegrpc.WithTimeout(Patience), // The time of a batch with all its repetitions.
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{Enabled: true, MaxElapsedTime: Patience,
			InitialInterval: 250 * time.Millisecond, MaxInterval: 2 * time.Second}),
		otlptracegrpc.WithDialOption(grpc.WithConnectParams(reconnect)),
	}, options...)...)
}

// nameOf returns the target as gRPC has it.
func nameOf(target string) (string, error) {
	target = strings.TrimSpace(target)
	scheme, rest, _ := strings.Cut(target, "://")
	if scheme != "unix" && resolver.Get(scheme) != nil && strings.Trim(rest, "/") != "" {
		if scheme == "dns" { // gRPC would take port 443.
			if _, _, err := net.SplitHostPort(rest[strings.LastIndex(rest, "/")+1:]); err != nil {
				return "", fmt.Errorf("%q has no port: give one, such as dns:///collector:4317", target)
			}
		}
		return target, nil
	}
	to, err := transport.ParseTarget(target, "4317", "otlptracegrpc.WithTLSCredentials")
	switch {
	case err != nil:
		return "", err
	case to.Socket != "":
		return "unix:" + to.Socket, nil // With one slash or none: two would begin a host.
	}
	return to.Address, nil
}
