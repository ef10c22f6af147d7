// Package transport has the HTTP transport to a unix socket. It needs the standard library only.
package transport

import (
	"context"
	"net"
	"net/http"
)

// New returns a transport to the socket if the target has one, and to the request's own host otherwise. Its failures call
// themselves temporary: OpenTelemetry's exporter repeats what fails with such an error, and drops the batch for any other.
// Go's own errors for a connection that is refused or reset do not say so.
func New(target Target) http.RoundTripper {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if target.Socket != "" {
		transport.Proxy = nil
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", target.Socket)
		}
	}
	return again{transport}
}

type again struct{ http.RoundTripper }

func (t again) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.RoundTripper.RoundTrip(request)
	if err != nil {
		err = temporary{err}
	}
	return response, err
}

type temporary struct{ error }

func (temporary) Temporary() bool { return true }

func (t temporary) Unwrap() error { return t.error }
