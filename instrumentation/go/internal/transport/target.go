package transport

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// A Target is where the collector listens: one of the two is empty.
type Target struct {
	Socket  string // The path of a unix socket.
	Address string // Host and port.
}

const forms = "give the path of its socket, such as /run/asynq-collector/otlp.sock, or its address, such as 127.0.0.1:"

// ParseTarget reads what a user gave as a target: a path, an address, or either with a scheme (unix:///path, http://host:port). The
// port is the one that errors have as an example, tls the option for TLS. Whatever spans could not reach is an error, because exporters lose spans in silence.
func ParseTarget(text, port, tls string) (Target, error) {
	text = strings.TrimSpace(text)
	scheme, rest, hasScheme := strings.Cut(text, ":")
	switch {
	case text == "":
		return Target{}, fmt.Errorf("no collector to send spans to: %s%s", forms, port)
	case strings.HasPrefix(text, "/"):
		return Target{Socket: text}, nil
	case hasScheme && strings.EqualFold(scheme, "unix"):
		// As in unix:///path, unix:/path and unix:path; unix://path names a host.
		path, isURL := strings.CutPrefix(rest, "//")
		if path == "" || isURL && !strings.HasPrefix(path, "/") {
			return Target{}, fmt.Errorf("%q has no path: %s%s", text, forms, port)
		}
		return Target{Socket: path}, nil
	case strings.Contains(text, "://"):
		return parseURL(text, port, tls)
	}
	return parseAddress(text, port)
}

func parseURL(text, port, tls string) (Target, error) {
	parsed, err := url.Parse(text)
	switch {
	case err != nil: // Its text would have the credentials of the address.
		return Target{}, fmt.Errorf("the address of the collector can't be read: %s%s", forms, port)
	case parsed.User != nil:
		return Target{}, fmt.Errorf("credentials do not belong into the address of the collector: give them as headers, by an option")
	case parsed.Scheme == "https":
		return Target{}, fmt.Errorf("the collector has no TLS: give host and port of %q without a scheme, "+
			"and for the TLS of what stands before it the option %s", text, tls)
	case parsed.Scheme != "http":
		return Target{}, fmt.Errorf("the scheme of %q is none that the collector speaks: %s%s", text, forms, port)
	case parsed.RawQuery != "" || parsed.Fragment != "",
		parsed.Path != "" && parsed.Path != "/" && parsed.Path != "/v1/traces":
		return Target{}, fmt.Errorf("%q has a path that the collector does not have: %s%s", text, forms, port)
	}
	return parseAddress(parsed.Host, port)
}

func parseAddress(text, example string) (Target, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return Target{}, fmt.Errorf("%q is neither the path of a socket nor host and port: %s%s", text, forms, example)
	}
	if number, err := net.LookupPort("tcp", port); err != nil || number == 0 {
		return Target{}, fmt.Errorf("%q has no port: %s%s", text, forms, example)
	}
	if host == "" {
		host = "localhost"
	}
	return Target{Address: net.JoinHostPort(host, port)}, nil
}
