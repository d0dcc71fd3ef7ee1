// Package registry is a client of a schema registry that speaks Confluent's
// protocol, for the codecs of packages avro and protobuf. Bytes then carry the
// number of the schema that they were written with:
//
//	schemas := registry.New(registry.Config{URL: "https://registry:8081", User: "app", Password: password})
//	orders, malformed := stream.Decode(messages, avro.Registered[Order](schemas, "", orderSchema))
//
// A schema is asked for once, when the first record that needs it is decoded,
// and kept for good: its number never means another one. If the registry does
// not answer, the call is repeated for [Config.Timeout], during which the batch
// waits and the sources are held back, as with any slow output. Then it fails
// with an error that is [ErrUnavailable], and so do calls for [Config.Pause],
// without asking, so that a batch of many records does not wait for each.
//
// The promise that is easy to get wrong: records that fail for this reason are
// not malformed, but come out on the failed stream as those do. A program that
// must not pass over them fails the batch in its first output, before others
// see what is left; with a checkpoint, the batch runs again with the same records
// when the program is started again:
//
//	stream.ForEach(malformed, func(f stream.Failed[kafka.Record]) error {
//		if errors.Is(f.Reason, registry.ErrUnavailable) {
//			return f.Reason
//		}
//		log.Println(f)
//		return nil
//	})
//
// It sees what the failed stream keeps: leave stream.KeepFailures above zero. A Client may be used by many goroutines at once, starts none and keeps
// no connection open.
package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// ErrUnavailable is an error for which the registry is to blame, or the way to
// it, or the credentials: nothing is known about the record. Ask again later.
var ErrUnavailable = errors.New("the schema registry is unavailable")

// Error is what the registry answered: that it knows no such schema (Status
// 404), that a new schema is not compatible with those before it (409), or that
// it is none (422). Asking again is of no use.
type Error struct {
	Status  int    // of HTTP
	Code    int    // of the registry, such as 40403; 0 if it gave none
	Message string // of the registry, at most 200 bytes
}

func (e *Error) Error() string {
	if e.Code == 0 || e.Code == e.Status {
		return fmt.Sprintf("status %d: %s", e.Status, e.Message)
	}
	return fmt.Sprintf("status %d, code %d: %s", e.Status, e.Code, e.Message)
}

// Config says where the registry is.
type Config struct {
	// URL is where the registry is, such as "https://registry:8081/v1". A user
	// and password in it are used as those below and appear in no error.
	URL string

	// User and Password are sent with each request if User is not empty.
	User, Password string

	// HTTP makes the requests: for certificates, proxies and other ways to log
	// in. Nil means one that keeps no connections open.
	HTTP *http.Client

	// Timeout bounds each call with all of its attempts: requests that fail for
	// a reason that may pass are made again after 0.1 s, 0.2 s and so on up to
	// 2 s. Zero means 30 s. An attempt may take a third of it.
	Timeout time.Duration

	// Pause is how long after a call that was [ErrUnavailable] others are so too
	// without a request. Zero means 10 s.
	Pause time.Duration

	// NoRegister keeps codecs from registering schemas: what is encoded bears
	// the number of the subject's latest schema, which must be the codec's own.
	NoRegister bool
}

// Schema is a schema as the registry has it.
type Schema struct {
	Type       string // "AVRO", "PROTOBUF", "JSON"; empty means AVRO
	Text       string
	References []Reference // to schemas that this one uses
}

// Reference is to a schema that another one uses.
type Reference struct {
	Name    string `json:"name"` // by which it is used
	Subject string `json:"subject"`
	Version int    `json:"version"`
}

// Client asks a registry and remembers the answers. Make it with [New], one for
// all codecs.
type Client struct {
	config Config
	base   string // without a slash at its end
	err    error

	lock   sync.Mutex
	calls  map[string]*call
	absent int       // calls that are kept although they failed
	until  time.Time // when to ask again, after what failed
	down   error     // why not before
}

// call is an answer, or the asking for it.
type call struct {
	done  chan struct{} // closed when the answer is there
	value any
	err   error
	until time.Time // when it is forgotten; zero means never
}

// New makes a client. It asks for nothing yet. A fault in the Config is found
// with [Client.Err]; codecs that are made with the client have it too.
func New(config Config) *Client {
	c := &Client{config: config, calls: map[string]*call{}}
	fault := func(text string) {
		if c.err == nil {
			c.err = errors.New("registry: Config." + text)
		}
	}
	u, err := url.Parse(config.URL)
	switch {
	case config.URL == "":
		fault("URL is empty")
	case err != nil: // which would repeat the password
		fault("URL is no URL")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		fault("URL must begin with http:// or https:// and name a host")
	case u.RawQuery != "" || u.Fragment != "":
		fault("URL has a query or fragment")
	case u.User != nil && config.User != "":
		fault("URL has a user and there is Config.User too")
	default:
		if u.User != nil {
			c.config.User = u.User.Username()
			c.config.Password, _ = u.User.Password()
			u.User = nil
		}
		c.base = strings.TrimRight(u.String(), "/")
	}
	if config.User == "" && config.Password != "" {
		fault("Password is given without a User")
	}
	if config.Timeout < 0 {
		fault("Timeout is negative")
	}
	if config.Pause < 0 {
		fault("Pause is negative")
	}
	if config.Timeout == 0 {
		c.config.Timeout = 30 * time.Second
	}
	if config.Pause == 0 {
		c.config.Pause = 10 * time.Second
	}
	if config.HTTP == nil { // http.DefaultClient would leave goroutines with its idle connections
		c.config.HTTP = &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, ForceAttemptHTTP2: true}}
	}
	return c
}

// Err says why the client can't be used, nil if it can.
func (c *Client) Err() error {
	if c == nil {
		return errors.New("registry: the Client is nil; make one with registry.New")
	}
	if c.calls == nil {
		return errors.New("registry: this is the zero Client; make one with registry.New")
	}
	return c.err
}

// Schema is the schema with this number. An answer is kept; that there is none,
// for [Config.Pause].
func (c *Client) Schema(ctx context.Context, id uint32) (Schema, error) {
	return ask[Schema](ctx, c, fmt.Sprintf("schema %d", id), request{path: fmt.Sprintf("/schemas/ids/%d", id)}, readSchema)
}

// SerializedSchema is the Protobuf schema with this number, its Text a
// FileDescriptorProto in base64.
func (c *Client) SerializedSchema(ctx context.Context, id uint32) (Schema, error) {
	return ask[Schema](ctx, c, fmt.Sprintf("schema %d", id), request{path: fmt.Sprintf("/schemas/ids/%d?format=serialized", id)}, readSchema)
}

// Version is a version of a subject, as a [Reference] names it.
func (c *Client) Version(ctx context.Context, subject string, version int) (Schema, error) {
	what := fmt.Sprintf("version %d of %q", version, subject)
	return ask[Schema](ctx, c, what, request{path: fmt.Sprintf("/subjects/%s/versions/%d", url.PathEscape(subject), version)}, readSchema)
}

// Latest is the latest schema of a subject and its number. It is asked for each time.
func (c *Client) Latest(ctx context.Context, subject string) (uint32, Schema, error) {
	type latest struct {
		id     uint32
		schema Schema
	}
	l, err := ask[latest](ctx, c, fmt.Sprintf("latest version of %q", subject),
		request{path: "/subjects/" + url.PathEscape(subject) + "/versions/latest", fresh: true},
		func(a answer) (latest, error) {
			schema, err := readSchema(a)
			if err == nil && a.ID == nil {
				err = errors.New("the answer has no id")
			}
			if err != nil {
				return latest{}, err
			}
			return latest{*a.ID, schema}, nil
		})
	return l.id, l.schema, err
}

// Register adds a schema to a subject and returns its number, which is the one
// that it has if it is there already. The answer is kept.
func (c *Client) Register(ctx context.Context, subject string, s Schema) (uint32, error) {
	body := map[string]any{"schema": s.Text}
	if s.Type != "" && s.Type != "AVRO" { // old registries know no other and refuse the member
		body["schemaType"] = s.Type
	}
	if len(s.References) > 0 {
		body["references"] = s.References
	}
	return ask[uint32](ctx, c, fmt.Sprintf("register a schema for %q", subject),
		request{path: "/subjects/" + url.PathEscape(subject) + "/versions", body: body},
		func(a answer) (uint32, error) {
			if a.ID == nil {
				return 0, errors.New("the answer has no id")
			}
			return *a.ID, nil
		})
}

// Number is the number with which a codec writes its schema: that of the schema,
// which is registered, or with [Config.NoRegister] that of the subject's latest
// one, if same, which compares it with the codec's, has no objection.
func (c *Client) Number(ctx context.Context, subject string, schema func() (Schema, error), same func(id uint32, latest Schema) error) (uint32, error) {
	if err := c.Err(); err != nil {
		return 0, err
	}
	if !c.config.NoRegister {
		s, err := schema()
		if err != nil {
			return 0, err
		}
		return c.Register(ctx, subject, s)
	}
	id, latest, err := c.Latest(ctx, subject)
	if err != nil {
		return 0, err
	}
	if err := same(id, latest); err != nil {
		return 0, fmt.Errorf("registry: the latest version of %q, number %d, is not the codec's schema, and Config.NoRegister is set: %w", subject, id, err)
	}
	return id, nil
}
