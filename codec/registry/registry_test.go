package registry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godstream/godstream/codec/registry"
	"github.com/godstream/godstream/codec/registry/registrytest"
	"github.com/godstream/godstream/internal/bubble"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSchemas(t *testing.T) {
	server := registrytest.New()
	defer server.Close()
	c := registry.New(registry.Config{URL: server.URL + "/"})
	ctx := t.Context()

	first := registry.Schema{Type: "AVRO", Text: `"string"`}
	second := registry.Schema{Type: "PROTOBUF", Text: "x", References: []registry.Reference{{Name: "a.proto", Subject: "a/b c", Version: 1}}}
	server.Register("a/b c", first)
	for range 3 { // asked once, answered thrice
		for want, s := range map[uint32]registry.Schema{1: first, 2: second} {
			if id, err := c.Register(ctx, "a/b c", s); id != want || err != nil {
				t.Errorf("Register = %d, %v; want %d", id, err, want)
			}
			if got, err := c.Schema(ctx, want); !reflect.DeepEqual(got, s) || err != nil {
				t.Errorf("Schema(%d) = %+v, %v", want, got, err)
			}
			if got, err := c.Version(ctx, "a/b c", int(want)); !reflect.DeepEqual(got, s) || err != nil {
				t.Errorf("Version(%d) = %+v, %v", want, got, err)
			}
		}
	}
	if n := server.Requests(); n != 6 {
		t.Errorf("%d requests, want 6", n)
	}
	if id, got, err := c.Latest(ctx, "a/b c"); id != 2 || !reflect.DeepEqual(got, second) || err != nil {
		t.Errorf("Latest = %d, %+v, %v", id, got, err)
	}
	server.Register("a/b c", registry.Schema{Text: `"int"`})
	if id, _, err := c.Latest(ctx, "a/b c"); id != 3 || err != nil {
		t.Errorf("the next Latest = %d, %v", id, err)
	}
}

func TestNumber(t *testing.T) {
	server := registrytest.New()
	defer server.Close()
	ctx := t.Context()
	mine := registry.Schema{Type: "AVRO", Text: `"long"`}
	schema := func() (registry.Schema, error) { return mine, nil }
	refuse := errors.New("it is shorter")
	same := func(_ uint32, s registry.Schema) error {
		if s.Text != mine.Text {
			return refuse
		}
		return nil
	}
	careful := registry.New(registry.Config{URL: server.URL, NoRegister: true})
	var answer *registry.Error
	if _, err := careful.Number(ctx, "s", schema, same); !errors.As(err, &answer) || answer.Status != 404 || answer.Code != 40401 || errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("subject that is not there: %v", err)
	}
	server.Register("s", registry.Schema{Text: `"int"`})
	if _, err := careful.Number(ctx, "s", schema, same); !errors.Is(err, refuse) {
		t.Errorf("another one: %v", err)
	}
	if id, err := registry.New(registry.Config{URL: server.URL}).Number(ctx, "s", schema, same); id != 2 || err != nil {
		t.Errorf("registered: %d, %v", id, err)
	}
	if id, err := careful.Number(ctx, "s", schema, same); id != 2 || err != nil {
		t.Errorf("the latest: %d, %v", id, err)
	}
}

func TestConfig(t *testing.T) {
	tests := map[string]struct {
		config registry.Config
		want   string
	}{
		"no URL":            {registry.Config{}, "registry: Config.URL is empty"},
		"no URL at all":     {registry.Config{URL: "http://u:hidden@ho st"}, "registry: Config.URL is no URL"},
		"no scheme":         {registry.Config{URL: "registry:8081"}, "registry: Config.URL must begin with http:// or https:// and name a host"},
		"no host":           {registry.Config{URL: "http:///x"}, "registry: Config.URL must begin with http:// or https:// and name a host"},
		"query":             {registry.Config{URL: "http://h?token=hidden"}, "registry: Config.URL has a query or fragment"},
		"two users":         {registry.Config{URL: "http://u:hidden@h", User: "v"}, "registry: Config.URL has a user and there is Config.User too"},
		"password alone":    {registry.Config{URL: "http://h", Password: "hidden"}, "registry: Config.Password is given without a User"},
		"negative time":     {registry.Config{URL: "http://h", Timeout: -1}, "registry: Config.Timeout is negative"},
		"negative pause":    {registry.Config{URL: "http://h", Pause: -1}, "registry: Config.Pause is negative"},
		"first is reported": {registry.Config{Pause: -1}, "registry: Config.URL is empty"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := registry.New(test.config)
			if err := c.Err(); err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
			if _, err := c.Schema(t.Context(), 1); err == nil || err.Error() != test.want {
				t.Errorf("Schema: %v", err)
			}
		})
	}
	if (*registry.Client)(nil).Err() == nil || new(registry.Client).Err() == nil {
		t.Error("a Client that New did not make can be used")
	}
	if err := registry.New(registry.Config{URL: "https://u:p@h:1/v1"}).Err(); err != nil {
		t.Error(err)
	}
}

// transport answers requests without a network, so that time is that of synctest.
type transport func(r *http.Request) (status int, body string, err error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body, err := f(r)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Request: r, Header: http.Header{}}, nil
}

func client(f transport, change ...func(*registry.Config)) *registry.Client {
	config := registry.Config{URL: "http://registry.example", HTTP: &http.Client{Transport: f}}
	for _, c := range change {
		c(&config)
	}
	return registry.New(config)
}

const someSchema = `{"schema":"\"string\""}`

func TestFailures(t *testing.T) {
	tests := map[string]struct {
		status  int
		body    string
		err     error
		again   bool // asked until the time is over
		blamed  bool // ErrUnavailable
		mention string
	}{
		"no connection":          {err: errors.New("connection refused"), again: true, blamed: true, mention: "connection refused"},
		"overloaded":             {503, `{"error_code":50301,"message":"later"}`, nil, true, true, "status 503, code 50301: later"},
		"broken":                 {500, `<html>`, nil, true, true, "status 500: Internal Server Error"},
		"too many":               {429, `{}`, nil, true, true, "status 429: Too Many Requests"},
		"no such schema":         {404, `{"error_code":40403,"message":"Schema not found"}`, nil, false, false, "registry: schema 7: status 404, code 40403: Schema not found"},
		"no registry":            {404, `404 page not found`, nil, false, true, "status 404: Not Found"},
		"wrong password":         {401, `{"error_code":401,"message":"Unauthorized"}`, nil, false, true, "status 401: Unauthorized"},
		"not compatible":         {409, `{"error_code":409,"message":"incompatible"}`, nil, false, false, "status 409: incompatible"},
		"no schema":              {422, `{"error_code":42201,"message":"invalid"}`, nil, false, false, "status 422, code 42201: invalid"},
		"answer that is no JSON": {200, `<html>`, nil, false, true, "the answer is not that of a registry"},
		"answer cut short":       {200, `{"schema":"x`, nil, false, true, "the answer is not that of a registry"},
		"answer without it":      {200, `{}`, nil, false, true, "the answer has no schema"},
		"id out of range":        {200, `{"id":-1,"schema":"x"}`, nil, false, true, "the answer is not that of a registry"},
		"too long":               {200, `{"schema":"` + strings.Repeat("x", 9<<20) + `"}`, nil, false, true, "the answer is longer than 8388608 bytes"},
		"message that is long":   {422, `{"error_code":42201,"message":"` + strings.Repeat("x\\n ", 1000) + `"}`, nil, false, false, "x x x"},
		"password in a message":  {422, `{"error_code":42201,"message":"app:hidden is wrong"}`, nil, false, false, "app:*** is wrong"},
		"password in an error":   {err: errors.New("dial app:hidden@proxy"), again: true, blamed: true, mention: "dial app:***@proxy"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				requests := 0
				c := client(func(r *http.Request) (int, string, error) {
					requests++
					if user, password, ok := r.BasicAuth(); user != "app" || password != "hidden" || !ok {
						t.Error("no basic auth")
					}
					return test.status, test.body, test.err
				}, func(c *registry.Config) { c.User, c.Password = "app", "hidden" })
				began := time.Now()
				_, err := c.Schema(t.Context(), 7)
				took := time.Since(began)
				if err == nil || !strings.Contains(err.Error(), test.mention) || len(err.Error()) > 500 || strings.Contains(err.Error(), "hidden") {
					t.Fatalf("%v", err)
				}
				if errors.Is(err, registry.ErrUnavailable) != test.blamed {
					t.Errorf("%v: is unavailable: %t", err, !test.blamed)
				}
				var answer *registry.Error
				if !test.blamed && (!errors.As(err, &answer) || answer.Status != test.status) {
					t.Errorf("%v holds no Error", err)
				}
				switch {
				case test.again && (requests < 10 || took < 25*time.Second || took > 30*time.Second):
					t.Errorf("%d requests in %s", requests, took)
				case !test.again && (requests != 1 || took != 0):
					t.Errorf("%d requests in %s", requests, took)
				}

				before := requests // not asked again for a while
				if _, err := c.Schema(t.Context(), 7); err == nil || requests != before || errors.Is(err, registry.ErrUnavailable) != test.blamed {
					t.Errorf("at once: %v, %d requests", err, requests-before)
				}
				if _, err := c.Schema(t.Context(), 8); test.blamed == (requests != before) {
					t.Errorf("another one at once: %v, %d requests", err, requests-before)
				}
				time.Sleep(10*time.Second + 1) // synctest's
				test.status, test.body, test.err = 200, someSchema, nil
				if s, err := c.Schema(t.Context(), 7); err != nil || s.Text != `"string"` {
					t.Errorf("after the pause: %v", err)
				}
			})
		})
	}
}

func TestFailureThatPasses(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		requests := 0
		c := client(func(*http.Request) (int, string, error) {
			if requests++; requests < 4 {
				return 503, "", nil
			}
			return 200, someSchema, nil
		})
		began := time.Now()
		s, err := c.Schema(t.Context(), 1)
		if err != nil || s.Text != `"string"` || requests != 4 {
			t.Errorf("%+v, %v after %d requests", s, err, requests)
		}
		if took := time.Since(began); took < 350*time.Millisecond || took > 700*time.Millisecond {
			t.Errorf("it took %s, want half to all of 0.1 + 0.2 + 0.4 s", took)
		}
	})
}

func TestRegistryThatHangs(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		c := client(func(r *http.Request) (int, string, error) {
			<-r.Context().Done()
			return 0, "", r.Context().Err()
		}, func(c *registry.Config) { c.Timeout = 3 * time.Second })
		began := time.Now()
		_, err := c.Schema(t.Context(), 1)
		if took := time.Since(began); !errors.Is(err, registry.ErrUnavailable) || took > 3*time.Second {
			t.Errorf("%v after %s", err, took)
		}
	})
}

func TestCallerGivesUp(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var up atomic.Bool
		c := client(func(*http.Request) (int, string, error) {
			if up.Load() {
				return 200, someSchema, nil
			}
			return 503, "", nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := c.Schema(ctx, 1); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, registry.ErrUnavailable) {
				t.Errorf("who gave up: %v", err)
			}
		})
		synctest.Wait()
		group.Go(func() { // waits for the other one's call, then makes it itself
			if _, err := c.Schema(t.Context(), 1); err != nil {
				t.Errorf("who did not: %v", err)
			}
		})
		short, stop := context.WithTimeout(t.Context(), time.Second/2)
		defer stop()
		if _, err := c.Schema(short, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who gave up waiting: %v", err)
		}
		time.Sleep(time.Second) // synctest's
		up.Store(true)
		group.Wait()
	})
}

func TestTransportThatPanics(t *testing.T) {
	c := client(func(*http.Request) (int, string, error) { panic("stumbled") })
	func() {
		defer func() { _ = recover() }()
		_, _ = c.Schema(t.Context(), 1)
		t.Error("the panic is gone")
	}()
	func() { // the next one does not wait for ever
		defer func() { _ = recover() }()
		_, _ = c.Schema(t.Context(), 1)
	}()
}

func TestHostileNumbers(t *testing.T) {
	requests := 0
	c := client(func(r *http.Request) (int, string, error) {
		requests++
		return 404, `{"error_code":40403,"message":"Schema not found"}`, nil
	})
	for id := range uint32(25000) {
		if _, err := c.Schema(t.Context(), id); err == nil || errors.Is(err, registry.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	if requests != 25000 {
		t.Errorf("%d requests", requests)
	}
	if _, err := c.Schema(t.Context(), 24999); err == nil || requests != 25000 {
		t.Errorf("the last one is asked for again: %v", err)
	}
}

func TestManyAskAtOnce(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var requests atomic.Int64
		c := client(func(r *http.Request) (int, string, error) {
			requests.Add(1)
			time.Sleep(time.Second) // synctest's
			return 200, someSchema, nil
		})
		var group sync.WaitGroup
		for i := range 100 {
			group.Go(func() {
				if _, err := c.Schema(t.Context(), uint32(i%3)); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if n := requests.Load(); n != 3 {
			t.Errorf("%d requests, want 3", n)
		}
	})
}

func TestRealFailures(t *testing.T) {
	server := registrytest.New()
	c := registry.New(registry.Config{URL: strings.Replace(server.URL, "http://", "http://app:hidden@", 1), Timeout: 300 * time.Millisecond, Pause: time.Nanosecond})
	server.Register("s", registry.Schema{Text: `"int"`})
	failing := true
	server.Fail(func(r *http.Request) int {
		if user, password, _ := r.BasicAuth(); user != "app" || password != "hidden" {
			t.Error("no basic auth")
		}
		if failing {
			failing = false
			return 500
		}
		return 0
	})
	if s, err := c.Schema(t.Context(), 1); err != nil || s.Text != `"int"` || server.Requests() != 2 {
		t.Errorf("%+v, %v, %d requests", s, err, server.Requests())
	}
	server.Close()
	_, err := c.Schema(t.Context(), 2)
	if !errors.Is(err, registry.ErrUnavailable) || strings.Contains(err.Error(), "hidden") {
		t.Errorf("after it went away: %v", err)
	}
	if s, err := c.Schema(t.Context(), 1); err != nil || s.Text != `"int"` {
		t.Errorf("what is known: %v", err)
	}
}

func TestRedirectElsewhereWithoutPassword(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the password went to another host")
		}
		_, _ = io.WriteString(w, someSchema)
	}))
	defer elsewhere.Close()
	server := httptest.NewServer(http.RedirectHandler(strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1), http.StatusFound))
	defer server.Close()
	c := registry.New(registry.Config{URL: server.URL, User: "app", Password: "hidden"})
	if _, err := c.Schema(t.Context(), 1); err != nil {
		t.Error(err)
	}
}

func TestWireFormat(t *testing.T) {
	golden := map[string][]byte{
		"number alone":         registry.AppendHeader(nil, 258),
		"first message":        registry.AppendIndex(nil, []int{0}),
		"second message":       registry.AppendIndex(nil, []int{1}),
		"first within second":  registry.AppendIndex(nil, []int{1, 0}),
		"hundredth within one": registry.AppendIndex([]byte("x"), []int{0, 100}),
	}
	want := map[string][]byte{
		"number alone":         {0, 0, 0, 1, 2},
		"first message":        {0},
		"second message":       {2, 2},
		"first within second":  {4, 2, 0},
		"hundredth within one": {'x', 4, 0, 0xc8, 1},
	}
	if !reflect.DeepEqual(golden, want) {
		t.Errorf("got  %v\nwant %v", golden, want)
	}
	if index, body, err := registry.CutIndex([]byte{2, 0, 'x'}); !slices.Equal(index, []int{0}) || string(body) != "x" || err != nil {
		t.Errorf("the long form of the first message: %v, %q, %v", index, body, err)
	}
	rapid.Check(t, func(r *rapid.T) {
		id := rapid.Uint32().Draw(r, "id")
		index := rapid.SliceOfN(rapid.IntRange(0, 1<<20), 1, 100).Draw(r, "index")
		rest := rapid.SliceOf(rapid.Byte()).Draw(r, "rest")
		data := append(registry.AppendIndex(registry.AppendHeader(nil, id), index), rest...)
		gotID, body, err := registry.CutHeader(data)
		if err != nil || gotID != id {
			r.Fatal(gotID, err)
		}
		got, body, err := registry.CutIndex(body)
		if err != nil || !slices.Equal(got, index) || !bytes.Equal(body, rest) {
			r.Fatal(got, body, err)
		}
	})
	for _, data := range []string{"", "\x00", "\x00abc", "\x01abcde", "{}"} {
		if _, _, err := registry.CutHeader([]byte(data)); err == nil {
			t.Errorf("%q is taken", data)
		}
	}
	for name, data := range map[string]string{
		"nothing": "", "negative count": "\x01", "negative place": "\x02\x01", "ends": "\x04\x02", "large": "\x02\xff\xff\xff\x7f",
		"many": "\xff\xff\x03", "overflow": "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
	} {
		if _, _, err := registry.CutIndex([]byte(data)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func FuzzCut(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 2, 4, 2, 0, 'x'})
	f.Add([]byte{0, 0, 0, 1, 2, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		id, body, err := registry.CutHeader(data)
		if err != nil {
			return
		}
		index, rest, err := registry.CutIndex(body)
		if err != nil {
			return
		}
		again := append(registry.AppendIndex(registry.AppendHeader(nil, id), index), rest...)
		id2, body, _ := registry.CutHeader(again)
		index2, rest2, err := registry.CutIndex(body)
		if err != nil || id != id2 || !slices.Equal(index, index2) || !bytes.Equal(rest, rest2) {
			t.Errorf("%d %v %q, then %d %v %q, %v", id, index, rest, id2, index2, rest2, err)
		}
	})
}

func ExampleClient() {
	server := registrytest.New()
	defer server.Close()
	schemas := registry.New(registry.Config{URL: server.URL})

	ctx := context.Background()
	id, err := schemas.Register(ctx, "names-value", registry.Schema{Type: "AVRO", Text: `"string"`})
	fmt.Println(id, err)
	s, err := schemas.Schema(ctx, id)
	fmt.Println(s.Text, err)
	_, err = schemas.Schema(ctx, 99)
	fmt.Println(err)
	fmt.Println(errors.Is(err, registry.ErrUnavailable))
	// Output:
	// 1 <nil>
	// "string" <nil>
	// registry: schema 99: status 404, code 40403: Schema not found
	// false
}
