package exportgrpc

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestATargetThatNoSpanCouldReachIsAnError(t *testing.T) {
	for _, target := range []string{"", " ", "collector", "otlp.sock", "https://collector:4317", "grpc://collector:4317", "dns:///", "dns:///collector", "dns://10.0.0.1/collector", "unix://"} {
		exporter, err := New(context.Background(), target)
		if err == nil || exporter != nil || !strings.HasPrefix(err.Error(), "exportgrpc: ") {
			t.Errorf("%q: %v, %v", target, exporter, err)
		}
	}
}

// serve returns the names of the methods that are called at a listener. It knows none of them.
func serve(t *testing.T, network, address string) (net.Addr, <-chan string) {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	called := make(chan string, 9)
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(stream)
		called <- method
		return status.Error(codes.InvalidArgument, "none of mine")
	}))
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	return listener.Addr(), called
}

func TestSpansReachATargetInEachOfItsForms(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	_, atSocket := serve(t, "unix", socket)
	address, atAddress := serve(t, "tcp", "127.0.0.1:0")
	for target, called := range map[string]<-chan string{
		socket: atSocket, "unix://" + socket: atSocket, "unix:" + socket: atSocket, address.String(): atAddress,
		"http://" + address.String(): atAddress, "dns:///" + address.String(): atAddress, "passthrough:///" + address.String(): atAddress,
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		exporter, err := New(ctx, target)
		if err != nil {
			t.Fatalf("%q: %v", target, err)
		}
		err = exporter.ExportSpans(ctx, tracetest.SpanStubs{{Name: "s"}}.Snapshots())
		select {
		case method := <-called:
			if method != "/opentelemetry.proto.collector.trace.v1.TraceService/Export" {
				t.Errorf("%q: %s", target, method)
			}
		default:
			t.Errorf("%q: nothing was called: %v", target, err)
		}
		exporter.Shutdown(ctx)
		cancel()
	}
}
