package kafka_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/sink"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
)

// hidden is a password that must be nowhere.
const hidden = "hunter2-never-shown"

// guarded is a cluster with topics "twitter" and "counts".
func guarded(t testing.TB, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	embeddedOnly(t)
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(1, "twitter", "counts")}, options...)...)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// user is a user of a cluster, who may do anything.
func user(mechanism, name, password string) kfake.Opt {
	return kfake.Superuser(mechanism, name, password)
}

// tryOpen opens a source of "twitter" that must not open, and gives its error.
func tryOpen(t testing.TB, c kafka.Config) error {
	t.Helper()
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 5 * time.Second
	}
	r, err := kafka.Source(c, "twitter").Open(context.Background(), source.Options{})
	if err == nil {
		r.Close()
	}
	require.Error(t, err)
	require.NotContains(t, err.Error(), "\n")
	require.NotContains(t, err.Error(), hidden)
	t.Log(err)
	return err
}

// roundTrip writes lines with both kinds of sink, reads them, and commits that.
func roundTrip(t testing.TB, from kafka.Config, to kafka.SinkConfig) {
	t.Helper()
	lines := []string{"tea", "rye"}
	w, err := kafka.Sink(to, textMessages).Open(t.Context(), counts)
	require.NoError(t, err)
	require.NoError(t, w.Write(t.Context(), numberedBatch(1, lines)))
	require.NoError(t, w.Close())
	to.Transactional = true
	w, err = kafka.Sink(to, textMessages).Open(t.Context(), counts)
	require.NoError(t, err)
	_, err = w.(sink.Marked[string]).Marker(t.Context())
	require.NoError(t, err)
	require.NoError(t, w.Write(t.Context(), numberedBatch(1, lines)))
	require.NoError(t, w.Close())

	from.Start = kafka.Committed
	r := open(t, kafka.Source(from, to.Topic), source.Options{})
	require.Equal(t, append(lines, lines...), values(read(t, r, 4)))
	require.NoError(t, r.Commit(t.Context(), []source.Range{{Partition: to.Topic + "/0", Until: 3}}))
	require.NoError(t, r.Close())
	r = open(t, kafka.Source(from, to.Topic), source.Options{})
	require.Equal(t, lines[1:], values(read(t, r, 1)), "what was committed is known")
	require.NoError(t, r.Close())
}

func TestLoginByFieldsAndByClient(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	const name = "al=ice,"
	logins := map[string]kafka.SASL{
		"PLAIN":         kafka.Plain(name, hidden),
		"SCRAM-SHA-256": kafka.SCRAM256(name, hidden),
		"SCRAM-SHA-512": kafka.SCRAM512(name, hidden),
	}
	for mechanism, login := range logins {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			c := guarded(t, kfake.EnableSASL(), user(mechanism, name, hidden),
				kfake.TLS(&tls.Config{Certificates: []tls.Certificate{ca.issue(t, time.Hour, "127.0.0.1")}}))
			roundTrip(t, kafka.Config{Brokers: c.ListenAddrs(), Group: "fields", TLS: ca.trust(), SASL: login, Client: quick()},
				kafka.SinkConfig{Brokers: c.ListenAddrs(), Topic: "twitter", TLS: ca.trust(), SASL: login, Client: quick()})

			client := quick()
			client.Net.TLS.Enable, client.Net.TLS.Config = true, ca.trust()
			client.Net.SASL.Enable, client.Net.SASL.Mechanism = true, sarama.SASLMechanism(mechanism)
			client.Net.SASL.User, client.Net.SASL.Password = name, hidden
			roundTrip(t, kafka.Config{Brokers: c.ListenAddrs(), Group: "client", Client: client},
				kafka.SinkConfig{Brokers: c.ListenAddrs(), Topic: "counts", Client: client})
			require.Nil(t, client.Net.SASL.SCRAMClientGeneratorFunc, "the user's settings stay as they are")
			require.True(t, client.Net.TLS.Enable)
		})
	}
}

func TestFaultsOfSecurityAreFound(t *testing.T) {
	t.Parallel()
	set := func(change func(*sarama.Config)) *sarama.Config {
		c := kafka.Defaults()
		change(c)
		return c
	}
	tests := map[string]struct {
		tls    *tls.Config
		sasl   kafka.SASL
		client *sarama.Config
		want   string // "": no fault
	}{
		"nothing":                        {},
		"TLS":                            {tls: &tls.Config{}},
		"SASL without TLS":               {sasl: kafka.Plain("alice", hidden)},
		"a client of nothing and fields": {tls: &tls.Config{}, sasl: kafka.SCRAM256("alice", hidden), client: kafka.Defaults()},
		"SCRAM by the client alone": {client: set(func(c *sarama.Config) {
			c.Net.SASL.Enable, c.Net.SASL.Mechanism, c.Net.SASL.User, c.Net.SASL.Password = true, "SCRAM-SHA-256", "alice", hidden
		})},
		"password without a user":   {sasl: kafka.Plain("", hidden), want: "SASL: the user is empty"},
		"a user without a password": {sasl: kafka.SCRAM512("alice", ""), want: `SASL: the password of user "alice" is empty`},
		"a character 0":             {sasl: kafka.Plain("alice", hidden+"\x00"), want: `SASL: the user "alice" or the password has a character 0`},
		"no tokens":                 {sasl: kafka.OAuthBearer(nil), want: "SASL: the function that gives tokens is nil"},
		"TLS twice": {
			tls: &tls.Config{}, client: set(func(c *sarama.Config) { c.Net.TLS.Enable = true }),
			want: "TLS and Client.Net.TLS both say how to encrypt",
		},
		"TLS of the client that is off": {
			client: set(func(c *sarama.Config) { c.Net.TLS.Config = &tls.Config{} }),
			want:   "Client.Net.TLS.Config is set and Client.Net.TLS.Enable is not",
		},
		"a login twice": {
			sasl: kafka.Plain("alice", hidden), client: set(func(c *sarama.Config) { c.Net.SASL.User = "bob" }),
			want: "SASL and Client.Net.SASL both say how to log in",
		},
		"a login of the client that is off": {
			client: set(func(c *sarama.Config) { c.Net.SASL.User, c.Net.SASL.Password = "alice", hidden }),
			want:   "Client.Net.SASL has a user, a password or tokens, and Client.Net.SASL.Enable is not set",
		},
		"a login of the client without a password": {
			client: set(func(c *sarama.Config) { c.Net.SASL.Enable, c.Net.SASL.User = true, "alice" }),
			want:   "Client: kafka: invalid configuration (Net.SASL.Password",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			from := kafka.Source(kafka.Config{Brokers: []string{"localhost:9092"}, TLS: test.tls, SASL: test.sasl, Client: test.client}, "twitter")
			to := kafka.Sink(kafka.SinkConfig{Brokers: []string{"localhost:9092"}, Topic: "twitter", TLS: test.tls, SASL: test.sasl, Client: test.client}, textMessages)
			for prefix, err := range map[string]error{"kafka: Config.": check(from), "kafka: SinkConfig.": to.(interface{ Check() error }).Check()} {
				if test.want == "" {
					require.NoError(t, err)
					continue
				}
				require.ErrorContains(t, err, prefix+test.want)
				require.NotContains(t, err.Error(), "\n", "one fault, once")
				require.NotContains(t, err.Error(), hidden)
			}
		})
	}
}

// TestSecretsDoNotPrint: whatever way settings are printed, also as a part of what
// is none of ours.
func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	const name = "alice"
	for _, login := range []kafka.SASL{
		kafka.Plain(name, hidden), kafka.SCRAM256(name, hidden), kafka.SCRAM512(name, hidden),
		kafka.OAuthBearer(func(context.Context) (string, error) { return hidden, nil }),
	} {
		client := kafka.Defaults()
		client.Net.SASL.Enable, client.Net.SASL.User, client.Net.SASL.Password = true, name, hidden
		from := kafka.Config{Brokers: []string{"localhost:9092"}, SASL: login}
		byClient := kafka.Config{Brokers: []string{"localhost:9092"}, Client: client}
		to := kafka.SinkConfig{Brokers: []string{"localhost:9092"}, SASL: login, Client: client}
		within := struct {
			from any
			sasl kafka.SASL
			to   kafka.SinkConfig
		}{from, login, kafka.SinkConfig{SASL: login}}
		input, output := kafka.Source(from, "twitter"), kafka.Sink(to, textMessages)
		for _, v := range []any{login, &login, from, &from, byClient, to, input, output, within, &within} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
				requireHidden(t, fmt.Sprintf(verb, v))
			}
			text, _ := json.Marshal(v) // functions can't be, which is as well
			requireHidden(t, string(text))
			log, logger := newJournal()
			logger.Info("settings", "are", v)
			slog.New(slog.NewJSONHandler(log, nil)).Info("settings", "are", v)
			requireHidden(t, log.String())
		}
	}
	require.Equal(t, "SCRAM-SHA-512 as alice", fmt.Sprint(kafka.SCRAM512("alice", hidden)))
	require.Equal(t, "OAUTHBEARER", fmt.Sprint(kafka.OAuthBearer(nil)))
	require.Equal(t, "none", fmt.Sprint(kafka.SASL{}))
	require.Contains(t, fmt.Sprintf("%+v", kafka.Config{SASL: kafka.Plain("alice", hidden)}), "SASL:PLAIN as alice")
}

// requireHidden checks that neither the password is in a text nor its bytes.
func requireHidden(t testing.TB, text string) {
	t.Helper()
	require.NotContains(t, text, hidden)
	require.NotContains(t, strings.ToLower(text), fmt.Sprintf("%x", hidden))
	require.NotContains(t, text, strings.Trim(fmt.Sprint([]byte(hidden)), "[]"))
}

// guardedProgram is a program with a checkpoint that reads a topic and writes
// another in transactions, and how it logs in, rightly and wrongly.
type guardedProgram struct {
	brokers     []string
	in, out     string
	tls         *tls.Config
	good, wrong kafka.SASL
}

// run runs it, and looks for the password everywhere.
func (p guardedProgram) run(t *testing.T) {
	w, err := kafka.Sink(kafka.SinkConfig{Brokers: p.brokers, Topic: p.in, TLS: p.tls, SASL: p.good, Client: quick()}, textMessages).Open(t.Context(), counts)
	require.NoError(t, err)
	require.NoError(t, w.Write(t.Context(), noon([]string{"tea", "rye", "tea"})))
	require.NoError(t, w.Close())

	dir := t.TempDir()
	log, _ := newJournal()
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}))
	start := func(login kafka.SASL) error {
		config := kafka.Config{Brokers: p.brokers, Group: p.in, TLS: p.tls, SASL: login, Client: quick()}
		to := kafka.SinkConfig{Brokers: p.brokers, Topic: p.out, TLS: p.tls, SASL: login, Client: quick(), Transactional: true}
		app, err := stream.GetOrCreate(checkpoint.Dir(dir), func() (*stream.App, error) {
			app := stream.New(stream.Config{Name: p.out, Interval: time.Second, Ticks: stream.Replay, SaveEvery: 1, Retries: 1, RetryBackoff: 1, Logger: logger})
			words := stream.Map(stream.From(app, kafka.Source(config, p.in)), func(r kafka.Record) string { return string(r.Value) })
			totals := stream.UpdateStateByKey(stream.KeyBy(words, func(w string) string { return w }), func(now []string, n stream.Opt[int]) stream.Opt[int] {
				return stream.Some(n.Value + len(now))
			})
			stream.To(totals, kafka.Sink(to, func(p stream.Pair[string, int]) (kafka.Message, error) {
				return kafka.Message{Value: fmt.Append(nil, p.Key, p.Value)}, nil
			}), stream.Name("totals"))
			return app, nil
		})
		require.NoError(t, err)
		err = app.Run(t.Context())
		for _, format := range []stream.Format{stream.Text, stream.Mermaid} {
			require.Contains(t, app.Explain(format), p.out)
			requireHidden(t, app.Explain(format))
		}
		requireHidden(t, fmt.Sprintf("%v %+v", app.Stats(), app))
		return err
	}
	require.NoError(t, start(p.good))
	r := open(t, kafka.Source(kafka.Config{Brokers: p.brokers, TLS: p.tls, SASL: p.good, Client: quick()}, p.out), source.Options{})
	require.Equal(t, []string{"tea2", "rye1"}, values(read(t, r, 2)))
	err = start(p.wrong)
	require.ErrorContains(t, err, "log in at ")
	requireHidden(t, fmt.Sprintf("%v %+v %#v", err, err, err))
	t.Log(err)

	files := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files++
			var data []byte
			data, err = os.ReadFile(path)
			requireHidden(t, path+string(data))
		}
		return err
	}))
	require.Greater(t, files, 1)
	require.Contains(t, log.String(), "level=INFO")
	requireHidden(t, log.String())
}

func TestSecretsAreNowhere(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	secret := func() kfake.Opt {
		return kfake.TLS(&tls.Config{Certificates: []tls.Certificate{ca.issue(t, time.Hour, "127.0.0.1")}})
	}
	t.Run("a password", func(t *testing.T) {
		t.Parallel()
		c := guarded(t, secret(), kfake.EnableSASL(), user("PLAIN", "alice", hidden))
		guardedProgram{c.ListenAddrs(), "twitter", "counts", ca.trust(), kafka.Plain("alice", hidden), kafka.Plain("alice", hidden+"!")}.run(t)
	})
	t.Run("a token", func(t *testing.T) {
		t.Parallel()
		c := guarded(t, secret())
		oauth(c, func(token string) (string, bool) { return "not " + token, token == hidden })
		guardedProgram{c.ListenAddrs(), "twitter", "counts", ca.trust(), kafka.OAuthBearer(token(hidden)), kafka.OAuthBearer(token(hidden + "!"))}.run(t)
	})
}

func TestRefusedLoginNamesBrokerUserAndWay(t *testing.T) {
	t.Parallel()
	c := guarded(t, kfake.EnableSASL(), user("PLAIN", "alice", "hunter3"), user("SCRAM-SHA-256", "alice", "hunter3"))
	at := c.ListenAddrs()[0]
	tests := map[string]struct {
		sasl kafka.SASL
		want string
	}{
		// This broker hangs up, as some do.
		"PLAIN":             {kafka.Plain("alice", hidden), `log in at ` + at + ` as "alice" with PLAIN: the broker closed the connection; are user and password right?`},
		"SCRAM":             {kafka.SCRAM256("alice", hidden), `log in at ` + at + ` as "alice" with SCRAM-SHA-256: the broker closed the connection`},
		"an unknown user":   {kafka.SCRAM256("bob", hidden), `log in at ` + at + ` as "bob" with SCRAM-SHA-256: the broker closed the connection`},
		"no such mechanism": {kafka.OAuthBearer(token(hidden)), `log in at ` + at + ` with OAUTHBEARER: the broker does not know that way; it knows PLAIN, SCRAM-SHA-256, SCRAM-SHA-512`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := kafka.Config{Brokers: c.ListenAddrs(), SASL: test.sasl, Client: quick()}
			require.ErrorContains(t, tryOpen(t, config), "kafka: connect to "+at+": "+test.want)
			_, err := kafka.Sink(kafka.SinkConfig{Brokers: config.Brokers, Topic: "counts", SASL: test.sasl, Client: quick()}, textMessages).Open(t.Context(), counts)
			require.ErrorContains(t, err, test.want)
		})
	}
	require.ErrorContains(t, tryOpen(t, kafka.Config{Brokers: c.ListenAddrs(), Client: quick()}), "closed the connection; does it expect a login? set the field SASL")
}

func token(text string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return text, nil }
}

// alerting is where every client is told by TLS that it does not speak TLS.
func alerting(t *testing.T) []string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 4096))
			_, _ = c.Write([]byte{0x15, 3, 3, 0, 2, 2, 70})
			c.Close()
		}
	}()
	return []string{l.Addr().String()}
}

func TestWrongTLSNamesTheWayOut(t *testing.T) {
	t.Parallel()
	embeddedOnly(t)
	ca, other := newAuthority(t), newAuthority(t)
	serve := func(c *tls.Config, certificate tls.Certificate) []string {
		c.Certificates = []tls.Certificate{certificate}
		return guarded(t, kfake.TLS(c)).ListenAddrs()
	}
	here := ca.issue(t, time.Hour, "127.0.0.1")
	mutual := func(max uint16) *tls.Config {
		return &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool(), MaxVersion: max}
	}
	tests := map[string]struct {
		addrs []string
		tls   *tls.Config
		want  []string
	}{
		"unknown CA": {serve(&tls.Config{}, here), &tls.Config{},
			[]string{"certificate signed by unknown authority", "RootCAs of the field TLS"}},
		"another CA": {serve(&tls.Config{}, here), other.trust(),
			[]string{"certificate signed by unknown authority", "RootCAs of the field TLS"}},
		"wrong name": {serve(&tls.Config{}, ca.issue(t, time.Hour, "kafka.example")), ca.trust(),
			[]string{"127.0.0.1", "set ServerName of the field TLS"}},
		"expired": {serve(&tls.Config{}, ca.issue(t, -time.Minute, "127.0.0.1")), ca.trust(),
			[]string{"certificate has expired", "renew the broker's certificate"}},
		"no certificate of the client": {serve(mutual(0), here), ca.trust(),
			[]string{"remote error: tls: certificate required", "set Certificates of the field TLS"}},
		"no certificate of the client, TLS 1.2": {serve(mutual(tls.VersionTLS12), here), ca.trust(),
			[]string{"remote error: tls: ", "set Certificates of the field TLS"}},
		"a certificate of another CA": {serve(mutual(0), here), ca.trust(other.issue(t, time.Hour)),
			[]string{"remote error: tls: ", "set Certificates of the field TLS"}},
		"TLS to a port without":               {guarded(t).ListenAddrs(), ca.trust(), []string{"is it a port without TLS?"}},
		"no TLS to a port of it that says so": {alerting(t), nil, []string{"expects TLS; set the field TLS"}},
		"no TLS to a port of it":              {serve(&tls.Config{}, here), nil, []string{"does it expect TLS? set the field TLS"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := kafka.Config{Brokers: test.addrs, TLS: test.tls, Client: quick(), ConnectTimeout: 2 * time.Second}
			err := tryOpen(t, config)
			require.ErrorContains(t, err, "kafka: connect to "+test.addrs[0]+": ")
			for _, want := range test.want {
				require.ErrorContains(t, err, want)
			}
			require.Equal(t, 1, strings.Count(err.Error(), "; "), "the way out is said once")
			config.TLS, config.Client.Net.TLS.Enable, config.Client.Net.TLS.Config = nil, test.tls != nil, test.tls
			require.ErrorContains(t, tryOpen(t, config), test.want[0])
		})
	}
	t.Run("all is well", func(t *testing.T) {
		t.Parallel()
		addrs := serve(mutual(0), here)
		roundTrip(t, kafka.Config{Brokers: addrs, Group: "g", TLS: ca.trust(ca.issue(t, time.Hour)), Client: quick()},
			kafka.SinkConfig{Brokers: addrs, Topic: "twitter", TLS: ca.trust(ca.issue(t, time.Hour)), Client: quick()})
		named := ca.trust(ca.issue(t, time.Hour))
		named.ServerName = "kafka.example"
		addrs = serve(mutual(0), ca.issue(t, time.Hour, "kafka.example"))
		require.NoError(t, open(t, kafka.Source(kafka.Config{Brokers: addrs, TLS: named, Client: quick()}, "twitter"), source.Options{}).Close())
	})
}

// TestMuteBrokerWithTLS: the handshake has the time limits of everything else.
func TestMuteBrokerWithTLS(t *testing.T) {
	t.Parallel()
	embeddedOnly(t)
	mute, _ := silent(t)
	begin := time.Now()
	err := tryOpen(t, kafka.Config{Brokers: []string{mute}, TLS: &tls.Config{}, ConnectTimeout: 300 * time.Millisecond})
	require.ErrorContains(t, err, "no answer within 300ms")
	require.Less(t, time.Since(begin), 2*time.Second)

	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("changed my mind")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = c.Read(make([]byte, 1)) // the handshake has begun
			cancel(why)
			defer c.Close()
			_, _ = c.Read(make([]byte, 4096))
		}
	}()
	_, err = kafka.Source(kafka.Config{Brokers: []string{l.Addr().String()}, TLS: &tls.Config{}}, "twitter").Open(ctx, source.Options{})
	require.ErrorIs(t, err, why)
}

// oauth makes a cluster ask for tokens: it takes those that good says.
func oauth(c *kfake.Cluster, good func(token string) (said string, ok bool)) {
	c.ControlKey(int16(kmsg.SASLHandshake), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		return r.ResponseKind(), nil, true
	})
	c.ControlKey(int16(kmsg.SASLAuthenticate), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		answer := r.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		text, _ := strings.CutPrefix(string(r.(*kmsg.SASLAuthenticateRequest).SASLAuthBytes), "n,,\x01auth=Bearer ")
		if said, ok := good(strings.TrimRight(text, "\x01")); !ok {
			answer.ErrorCode, answer.ErrorMessage = kerr.SaslAuthenticationFailed.Code, &said
		}
		return answer, nil, true
	})
}

func TestTokens(t *testing.T) {
	t.Parallel()
	c := guarded(t)
	oauth(c, func(token string) (string, bool) { return "no: " + token + "\nis over", token == "good-"+hidden })
	at := c.ListenAddrs()[0]
	good := kafka.OAuthBearer(token("good-" + hidden))
	roundTrip(t, kafka.Config{Brokers: c.ListenAddrs(), Group: "g", SASL: good, Client: quick()},
		kafka.SinkConfig{Brokers: c.ListenAddrs(), Topic: "twitter", SASL: good, Client: quick()})

	tests := map[string]struct {
		token func(context.Context) (string, error)
		want  string
	}{
		"refused":    {token(hidden), `log in at ` + at + ` with OAUTHBEARER: refused: no: (hidden) is over`},
		"empty":      {token(""), "log in with OAUTHBEARER: the token is empty"},
		"none":       {func(context.Context) (string, error) { return "", errors.New("the server is away") }, "log in with OAUTHBEARER: get a token: the server is away"},
		"a panic":    {func(context.Context) (string, error) { panic("oh") }, "log in with OAUTHBEARER: get a token: panic: oh"},
		"takes ages": {func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() }, "no answer within 500ms"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tryOpen(t, kafka.Config{Brokers: c.ListenAddrs(), SASL: kafka.OAuthBearer(test.token), Client: quick(), ConnectTimeout: 500 * time.Millisecond})
			require.ErrorContains(t, err, "kafka: connect to "+at+": "+test.want)
			client := quick()
			client.Net.SASL.Enable, client.Net.SASL.Mechanism = true, sarama.SASLTypeOAuth
			client.Net.SASL.TokenProvider = ownTokens(test.token)
			if name != "takes ages" { // that has no context
				require.ErrorContains(t, tryOpen(t, kafka.Config{Brokers: c.ListenAddrs(), Client: client}), test.want)
			}
		})
	}
}

// ownTokens is a user's sarama.AccessTokenProvider.
type ownTokens func(context.Context) (string, error)

func (f ownTokens) Token() (*sarama.AccessToken, error) {
	t, err := f(context.Background())
	return &sarama.AccessToken{Token: t}, err
}

// TestLoginThatIsTakenAwayWhileReading: it is tried again and logged, with what the
// broker said, and reading goes on once it is given back.
func TestLoginThatIsTakenAwayWhileReading(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{false, true} {
		t.Run(fmt.Sprint("shared=", shared), func(t *testing.T) {
			t.Parallel()
			c := guarded(t)
			var valid atomic.Bool
			valid.Store(true)
			oauth(c, func(token string) (string, bool) { return "token " + token + " is over", valid.Load() })
			p := producer(t, c.ListenAddrs())
			produce(t, p, "twitter", 0, "tea")
			var w wire
			client := lively()
			client.Net.Proxy.Enable, client.Net.Proxy.Dialer = true, &w
			config := kafka.Config{Brokers: c.ListenAddrs(), Group: "g", Shared: shared, SASL: kafka.OAuthBearer(token(hidden)), Client: client}
			log, logger := newJournal()
			r := open(t, kafka.Source(config, "twitter"), source.Options{Logger: logger})
			require.Equal(t, []string{"tea"}, values(read(t, r, 1)))

			valid.Store(false)
			const refused = "with OAUTHBEARER: refused: token (hidden) is over; does the token last"
			what, again := "can't read, trying again", "reading again"
			if shared {
				what, again = "can't reach the coordinator of the group, trying again", "can reach the coordinator of the group again"
			}
			require.Eventually(t, func() bool {
				w.swallow.Store(!strings.Contains(log.String(), what)) // not what the login is told after that
				return strings.Contains(log.String(), what) && strings.Contains(log.String(), "log in at "+c.ListenAddrs()[0]+" "+refused)
			}, 30*time.Second, 10*time.Millisecond)
			w.swallow.Store(false)
			valid.Store(true)
			log.await(t, again)
			produce(t, p, "twitter", 0, "rye")
			require.Equal(t, []string{"rye"}, values(read(t, r, 1)))
			requireHidden(t, log.String())
		})
	}
}

func TestOpenLoginIsWarnedOf(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	plain := guarded(t, kfake.EnableSASL(), user("PLAIN", "alice", hidden), user("SCRAM-SHA-256", "alice", hidden))
	safe := guarded(t, kfake.EnableSASL(), user("PLAIN", "alice", hidden),
		kfake.TLS(&tls.Config{Certificates: []tls.Certificate{ca.issue(t, time.Hour, "127.0.0.1")}}))
	const warning = "the login is not encrypted"
	tests := map[string]struct {
		addrs []string
		tls   *tls.Config
		sasl  kafka.SASL
		want  int
	}{
		"PLAIN without TLS": {plain.ListenAddrs(), nil, kafka.Plain("alice", hidden), 1},
		"SCRAM without TLS": {plain.ListenAddrs(), nil, kafka.SCRAM256("alice", hidden), 0},
		"PLAIN with TLS":    {safe.ListenAddrs(), ca.trust(), kafka.Plain("alice", hidden), 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, logger := newJournal()
			open(t, kafka.Source(kafka.Config{Brokers: test.addrs, TLS: test.tls, SASL: test.sasl, Client: quick()}, "twitter"), source.Options{Logger: logger})
			require.Equal(t, test.want, strings.Count(log.String(), warning), log)
			w, err := kafka.Sink(kafka.SinkConfig{Brokers: test.addrs, Topic: "counts", TLS: test.tls, SASL: test.sasl, Client: quick()}, textMessages).
				Open(t.Context(), sink.Options{Logger: logger})
			require.NoError(t, err)
			require.NoError(t, w.Close())
			require.Equal(t, 2*test.want, strings.Count(log.String(), warning), log)
			requireHidden(t, log.String())
		})
	}
}

// TestSCRAM is the example of RFC 7677.
func TestSCRAM(t *testing.T) {
	t.Parallel()
	const (
		nonce       = "rOprNGfwEbeRWgbNEkqO"
		serverFirst = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
		final       = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
		serverFinal = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
	)
	begin := func(password string) sarama.SCRAMClient {
		c := kafka.NewSCRAM(sha256.New, nonce)
		require.NoError(t, c.Begin("user", password, ""))
		first, err := c.Step("")
		require.NoError(t, err)
		require.Equal(t, "n,,n=user,r="+nonce, first)
		return c
	}
	c := begin("pencil")
	got, err := c.Step(serverFirst)
	require.NoError(t, err)
	require.Equal(t, final, got)
	require.False(t, c.Done())
	_, err = c.Step(serverFinal)
	require.NoError(t, err)
	require.True(t, c.Done())
	_, err = c.Step(serverFinal)
	require.ErrorContains(t, err, "after the end")

	c = begin("pencils")
	_, err = c.Step(serverFirst)
	require.NoError(t, err)
	_, err = c.Step(serverFinal)
	require.ErrorContains(t, err, "can't prove that it knows the password")
	require.False(t, c.Done())

	for challenge, want := range map[string]string{
		"":                                   "not one of SCRAM",
		"m=ext," + serverFirst:               "not one of SCRAM",
		"r=" + nonce + ",s=W22Z,i=4096":      "not to what we have asked",
		"r=other" + nonce + ",s=W22Z,i=4096": "not to what we have asked",
		"r=" + nonce + "x,s=W22Z,i=4095":     "hashed 4095 times",
		"r=" + nonce + "x,s=W22Z,i=99999999": "hashed 99999999 times",
		"r=" + nonce + "x,s=W22Z,i=9999999999999999999999": "not one of SCRAM",
		"r=" + nonce + "x,s=?,i=4096":                      "not one of SCRAM",
		"r=" + nonce + "x,s=,i=4096":                       "not one of SCRAM",
	} {
		_, err := begin("pencil").Step(challenge)
		require.ErrorContains(t, err, want, challenge)
	}
	for challenge, want := range map[string]string{
		"":                "not one of SCRAM",
		"e=invalid-proof": `the broker says "invalid-proof"`,
		"v=?":             "can't prove",
		"v=":              "can't prove",
	} {
		c := begin("pencil")
		_, err := c.Step(serverFirst)
		require.NoError(t, err)
		_, err = c.Step(challenge)
		require.ErrorContains(t, err, want, challenge)
		require.False(t, c.Done())
	}
}

// FuzzSCRAM: who does not know the password is not believed.
func FuzzSCRAM(f *testing.F) {
	f.Add("r=noncex,s=W22Z,i=4096", "v=AAAA")
	f.Add("r=nonce", "e=other-error")
	f.Fuzz(func(t *testing.T, first, final string) {
		c := kafka.NewSCRAM(sha256.New, "nonce")
		require.NoError(t, c.Begin("alice", hidden, ""))
		_, err := c.Step("")
		require.NoError(t, err)
		answer, err := c.Step(first)
		require.NotContains(t, answer, hidden)
		if err == nil {
			_, err = c.Step(final)
		}
		require.Error(t, err)
		require.False(t, c.Done())
		require.NotContains(t, err.Error(), hidden)
	})
}

// FuzzRefusal: no answer to a login makes the reader of it stumble.
func FuzzRefusal(f *testing.F) {
	for _, version := range []int16{0, 1, 2} {
		answer := kmsg.NewPtrSASLAuthenticateResponse()
		answer.Version, answer.ErrorCode, answer.ErrorMessage = version, 58, kmsg.StringPtr("hunter2 is\nwrong")
		head := make([]byte, 8)
		if version == 2 {
			head = append(head, 0)
		}
		frame := answer.AppendTo(head)
		require.ErrorIs(f, kafka.Refusal(36, version, frame), sarama.ErrSASLAuthenticationFailed)
		require.EqualError(f, kafka.Refusal(36, version, frame), `log in at kafka:9093 as "alice" with PLAIN: refused: (hidden) is wrong; are user and password right?`)
		f.Add(int16(36), version, frame)
	}
	answer := kmsg.NewPtrSASLHandshakeResponse()
	answer.ErrorCode, answer.SupportedMechanisms = 33, []string{"B", "A"}
	frame := answer.AppendTo(make([]byte, 8))
	require.EqualError(f, kafka.Refusal(17, 1, frame), `log in at kafka:9093 as "alice" with PLAIN: the broker does not know that way; it knows A, B`)
	f.Add(int16(17), int16(1), frame)
	f.Fuzz(func(t *testing.T, key, version int16, frame []byte) {
		if err := kafka.Refusal(key, version, frame); err != nil {
			require.NotContains(t, err.Error(), "\n")
			require.NotContains(t, err.Error(), "hunter2")
		}
	})
}
