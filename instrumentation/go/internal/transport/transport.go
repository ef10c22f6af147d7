// Package transport has the HTTP transport to a unix socket. It needs the standard library only.
package transport

import (
	"context"
	"net"
	"net/http"
	"strings"
)

// New returns a transport to the socket if the target is a path, and to the request's own host otherwise. Its failures call
// themselves temporary: OpenTelemetry's exporter repeats what fails with such an error, and drops the batch for any other.
// Go's own errors for a connection that is refused or reset do not say so.
func New(target string) http.RoundTripper {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if IsSocket(target) {
		transport.Proxy = nil
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", target)
		}
	}
	return again{transport}
}

// IsSocket says whether the target is the path of a unix socket; else it is a host and a port.
func IsSocket(target string) bool { return strings.HasPrefix(target, "/") }

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
