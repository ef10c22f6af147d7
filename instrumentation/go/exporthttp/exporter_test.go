package exporthttp

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

func TestATargetThatNoSpanCouldReachIsAnError(t *testing.T) {
	for _, target := range []string{"", " ", "collector", "otlp.sock", "https://collector:4318", "dns:///collector:4318", "unix://"} {
		exporter, err := New(context.Background(), target)
		if err == nil || exporter != nil || !strings.HasPrefix(err.Error(), "exporthttp: ") {
			t.Errorf("%q: %v, %v", target, exporter, err)
		}
	}
}

// serve returns the paths that are asked for at a listener.
func serve(t *testing.T, network, address string) (net.Addr, <-chan string) {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan string, 9)
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(
		func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.Path })}}
	server.Start()
	t.Cleanup(server.Close)
	return listener.Addr(), asked
}

func TestSpansReachATargetInEachOfItsForms(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://backend.example/prefix") // Of another backend: the target counts.
	socket := filepath.Join(t.TempDir(), "s")
	_, atSocket := serve(t, "unix", socket)
	address, atAddress := serve(t, "tcp", "127.0.0.1:0")
	for target, asked := range map[string]<-chan string{
		socket: atSocket, "unix://" + socket: atSocket, "unix:" + socket: atSocket, address.String(): atAddress,
		"http://" + address.String(): atAddress, "http://" + address.String() + "/v1/traces": atAddress,
	} {
		exporter, err := New(context.Background(), target)
		if err != nil {
			t.Fatalf("%q: %v", target, err)
		}
		if err := exporter.ExportSpans(context.Background(), tracetest.SpanStubs{{Name: "s"}}.Snapshots()); err != nil {
			t.Errorf("%q: %v", target, err)
		}
		select {
		case path := <-asked:
			if path != "/v1/traces" {
				t.Errorf("%q: %s", target, path)
			}
		default:
			t.Errorf("%q: nothing was asked for", target)
		}
		exporter.Shutdown(context.Background())
	}
}

func TestTheAdviceForTLSReachesAServerWithTLS(t *testing.T) {
	asked := make(chan string, 9)
	server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.Path }))
	defer server.Close()
	_, err := New(context.Background(), server.URL)
	if err == nil || !strings.Contains(err.Error(), "otlptracehttp.WithEndpointURL") {
		t.Fatal(err)
	}
	exporter, err := New(context.Background(), server.Listener.Addr().String(),
		otlptracehttp.WithEndpointURL(server.URL+"/v1/traces"), otlptracehttp.WithHTTPClient(server.Client()))
	if err != nil {
		t.Fatal(err)
	}
	if err := exporter.ExportSpans(context.Background(), tracetest.SpanStubs{{Name: "s"}}.Snapshots()); err != nil {
		t.Fatal(err)
	}
	if path := <-asked; path != "/v1/traces" {
		t.Error(path)
	}
}
