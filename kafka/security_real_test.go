package kafka_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/internal/realkafka"
	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/source"
)

// fortress is a real broker with TLS at 127.0.0.1 and logins of every kind. It has
// the listeners SECURE (TLS and a login), MUTUAL (TLS and a client's certificate),
// and SHORT, which is SECURE with sessions of three seconds.
type fortress struct {
	*realkafka.Cluster
	ca    authority
	admin sarama.ClusterAdmin
}

func startFortress(t *testing.T) *fortress {
	t.Helper()
	f := &fortress{ca: newAuthority(t)}
	own, key := inPEM(t, f.ca.issue(t, time.Hour, "127.0.0.1"))
	trusted, _ := inPEM(t, tls.Certificate{Certificate: [][]byte{f.ca.cert.Raw}, PrivateKey: f.ca.key})
	const login = "org.apache.kafka.common.security."
	properties := map[string]string{}
	for listener, more := range map[string]map[string]string{
		"secure": {},
		"mutual": {"ssl.client.auth": "required"},
		"short":  {"connections.max.reauth.ms": "3000"},
	} {
		maps.Copy(more, map[string]string{
			"ssl.keystore.type": "PEM", "ssl.keystore.certificate.chain": own, "ssl.keystore.key": key,
			"ssl.truststore.type": "PEM", "ssl.truststore.certificates": trusted,
		})
		if listener != "mutual" {
			maps.Copy(more, map[string]string{
				"sasl.enabled.mechanisms":        "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
				"plain.sasl.jaas.config":         login + `plain.PlainLoginModule required user_alice="` + hidden + `";`,
				"scram-sha-256.sasl.jaas.config": login + "scram.ScramLoginModule required;",
				"scram-sha-512.sasl.jaas.config": login + "scram.ScramLoginModule required;",
				"oauthbearer.sasl.jaas.config":   login + `oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
			})
		}
		for name, value := range more {
			properties["listener.name."+listener+"."+name] = value
		}
	}
	f.Cluster = realkafka.Start(t, realkafka.Config{
		Listeners: map[string]string{"SECURE": "SASL_SSL", "MUTUAL": "SSL", "SHORT": "SASL_SSL"}, Properties: properties,
	})
	var err error
	f.admin, err = sarama.NewClusterAdmin(f.Addrs(), adminSettings())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.admin.Close()) })
	f.let(t, "alice", hidden)
	return f
}

func adminSettings() *sarama.Config {
	c := kafka.Defaults()
	c.Version, c.Metadata.Full = sarama.V2_8_0_0, true
	return c
}

// let gives a user a password for SCRAM.
func (f *fortress) let(t *testing.T, user, password string) {
	t.Helper()
	for _, m := range []sarama.ScramMechanismType{sarama.SCRAM_MECHANISM_SHA_256, sarama.SCRAM_MECHANISM_SHA_512} { // one a request
		results, err := f.admin.UpsertUserScramCredentials([]sarama.AlterUserScramCredentialsUpsert{{
			Name: user, Mechanism: m, Iterations: 4096, Salt: []byte("salt of " + user), Password: []byte(password),
		}})
		require.NoError(t, err)
		for _, r := range results {
			require.Equal(t, sarama.ErrNoError, r.ErrorCode, "%v", r.ErrorMessage)
		}
	}
}

// topic makes one.
func (f *fortress) topic(t *testing.T, parts ...string) string {
	t.Helper()
	name := strings.NewReplacer("/", "-", " ", "-", ",", "").Replace(strings.Join(append(parts, t.Name()), "."))
	forever := "-1" // the batches of tests are old
	require.NoError(t, f.admin.CreateTopic(name, &sarama.TopicDetail{
		NumPartitions: 1, ReplicationFactor: 1, ConfigEntries: map[string]*string{"retention.ms": &forever},
	}, false))
	return name
}

// jwt is a token that nobody has signed, which this broker takes.
func jwt(user string, lasts time.Duration) string {
	now := time.Now()
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return part(`{"alg":"none"}`) + "." + part(fmt.Sprintf(`{"sub":%q,"iat":%d,"exp":%.3f}`, user, now.Unix()-60, float64(now.Add(lasts).UnixMilli())/1000)) + "."
}

func TestRealSecurity(t *testing.T) {
	realkafka.Need(t)
	f := startFortress(t)
	t.Run("logins", f.logins)
	t.Run("refusals", f.refusals)
	t.Run("sessions end", f.sessionsEnd)
	t.Run("a login is taken away", f.loginIsTakenAway)
	t.Run("secrets are nowhere", func(t *testing.T) {
		guardedProgram{f.AddrsOf("SECURE"), f.topic(t, "in"), f.topic(t, "out"), f.ca.trust(),
			kafka.SCRAM512("alice", hidden), kafka.SCRAM512("alice", hidden+"!")}.run(t)
	})
}

func (f *fortress) logins(t *testing.T) {
	logins := map[string]kafka.SASL{
		"PLAIN":         kafka.Plain("alice", hidden),
		"SCRAM-SHA-256": kafka.SCRAM256("alice", hidden),
		"SCRAM-SHA-512": kafka.SCRAM512("alice", hidden),
		"OAUTHBEARER":   kafka.OAuthBearer(token(jwt("alice", time.Hour))),
	}
	at := f.AddrsOf("SECURE")
	for mechanism, login := range logins {
		t.Run(mechanism, func(t *testing.T) {
			topic := f.topic(t)
			roundTrip(t, kafka.Config{Brokers: at, Group: topic, TLS: f.ca.trust(), SASL: login, Client: quick()},
				kafka.SinkConfig{Brokers: at, Topic: topic, TLS: f.ca.trust(), SASL: login, Client: quick()})
		})
		t.Run(mechanism+" by Client", func(t *testing.T) {
			topic := f.topic(t)
			client := quick()
			client.Net.TLS.Enable, client.Net.TLS.Config = true, f.ca.trust()
			client.Net.SASL.Enable, client.Net.SASL.Mechanism = true, sarama.SASLMechanism(mechanism)
			if mechanism == "OAUTHBEARER" {
				client.Net.SASL.TokenProvider = ownTokens(token(jwt("alice", time.Hour)))
			} else {
				client.Net.SASL.User, client.Net.SASL.Password = "alice", hidden
			}
			roundTrip(t, kafka.Config{Brokers: at, Group: topic, Client: client}, kafka.SinkConfig{Brokers: at, Topic: topic, Client: client})
		})
	}
	t.Run("certificates", func(t *testing.T) {
		topic, at := f.topic(t), f.AddrsOf("MUTUAL")
		trust := f.ca.trust(f.ca.issue(t, time.Hour))
		roundTrip(t, kafka.Config{Brokers: at, Group: topic, TLS: trust, Client: quick()}, kafka.SinkConfig{Brokers: at, Topic: topic, TLS: trust, Client: quick()})
	})
}

func (f *fortress) refusals(t *testing.T) {
	refusals := map[string]struct {
		listener string
		tls      *tls.Config
		sasl     kafka.SASL
		want     []string
	}{
		"PLAIN": {"SECURE", f.ca.trust(), kafka.Plain("alice", "wrong"), []string{`as "alice" with PLAIN: refused: Authentication failed: Invalid username or password`}},
		"SCRAM": {"SECURE", f.ca.trust(), kafka.SCRAM512("alice", "wrong"), []string{`as "alice" with SCRAM-SHA-512: refused: Authentication failed`}},
		"an unknown user": {"SECURE", f.ca.trust(), kafka.SCRAM256("bob", hidden),
			[]string{`as "bob" with SCRAM-SHA-256: refused: Authentication failed`}},
		"a token that is over": {"SECURE", f.ca.trust(), kafka.OAuthBearer(token(jwt("alice", -time.Minute))), []string{`with OAUTHBEARER: refused: `}},
		"a token that is none": {"SECURE", f.ca.trust(), kafka.OAuthBearer(token(hidden)), []string{`with OAUTHBEARER: refused: `}},
		"no TLS, no login":     {"SECURE", nil, kafka.SASL{}, []string{"TLS"}},
		"no TLS":               {"SECURE", nil, kafka.Plain("alice", hidden), []string{"TLS"}},
		"no login":             {"SECURE", f.ca.trust(), kafka.SASL{}, []string{"does it expect a login? set the field SASL"}},
		"unknown CA":           {"SECURE", &tls.Config{}, kafka.Plain("alice", hidden), []string{"certificate signed by unknown authority; put the certificate of its CA into RootCAs of the field TLS"}},
		"no certificate":       {"MUTUAL", f.ca.trust(), kafka.SASL{}, []string{"remote error: tls: ", "set Certificates of the field TLS"}},
		"certificate of another CA": {"MUTUAL", f.ca.trust(newAuthority(t).issue(t, time.Hour)), kafka.SASL{},
			[]string{"remote error: tls: ", "set Certificates of the field TLS"}},
		"a login where there is none": {"MUTUAL", f.ca.trust(f.ca.issue(t, time.Hour)), kafka.Plain("alice", hidden), []string{"log in at"}},
		"TLS where there is none":     {"PLAINTEXT", f.ca.trust(), kafka.SASL{}, []string{"is it a port without TLS?"}},
	}
	for name, test := range refusals {
		t.Run(name, func(t *testing.T) {
			addrs := f.AddrsOf(test.listener)
			err := tryOpen(t, kafka.Config{Brokers: addrs, TLS: test.tls, SASL: test.sasl, Client: quick()})
			require.ErrorContains(t, err, "kafka: connect to "+addrs[0]+": ")
			for _, want := range test.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}

// sessionsEnd: the client logs in again before a session ends, so that
// nothing of it is to be seen, and says so when it can't.
func (f *fortress) sessionsEnd(t *testing.T) {
	var asked atomic.Int64
	t.Cleanup(func() {
		require.Greater(t, asked.Load(), int64(5), "tokens asked for by two clients in three sessions")
	})
	logins := map[string]kafka.SASL{
		"PLAIN": kafka.Plain("alice", hidden),
		"SCRAM": kafka.SCRAM512("alice", hidden),
		"OAUTHBEARER": kafka.OAuthBearer(func(context.Context) (string, error) {
			asked.Add(1)
			return jwt("alice", 3*time.Second), nil
		}),
	}
	for name, login := range logins {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			topic := f.topic(t)
			log, logger := newJournal()
			config := kafka.Config{Brokers: f.AddrsOf("SHORT"), TLS: f.ca.trust(), SASL: login}
			r := open(t, kafka.Source(config, topic), source.Options{Logger: logger})
			w := openSink(t, kafka.SinkConfig{Brokers: config.Brokers, Topic: topic, TLS: f.ca.trust(), SASL: login}, textMessages)
			end, tick := time.After(7*time.Second), time.NewTicker(20*time.Millisecond) // two sessions end
			defer tick.Stop()
			for i, over := 0, false; !over; i++ {
				select {
				case <-tick.C:
				case <-end:
					over = true
				}
				line := fmt.Sprint(i)
				require.NoError(t, w.Write(t.Context(), noon([]string{line})))
				require.Equal(t, []string{line}, values(read(t, r, 1)))
			}
			require.Empty(t, log.String())
			require.Zero(t, r.Stats().Retries)
		})
	}
}

func (f *fortress) loginIsTakenAway(t *testing.T) {
	topic := f.topic(t)
	f.let(t, "bob", hidden)
	log, logger := newJournal()
	config := kafka.Config{Brokers: f.AddrsOf("SHORT"), TLS: f.ca.trust(), SASL: kafka.SCRAM256("bob", hidden), Client: quick()}
	r := open(t, kafka.Source(config, topic), source.Options{Logger: logger})
	to := kafka.SinkConfig{Brokers: config.Brokers, Topic: topic, TLS: config.TLS, SASL: config.SASL, Client: quick(), WriteTimeout: 4 * time.Second}
	w := openSink(t, to, textMessages)
	to.Transactional = true
	exact, _ := openExact(t, to, textMessages)
	require.NoError(t, exact.Write(t.Context(), numberedBatch(1, nil)))
	require.NoError(t, w.Write(t.Context(), noon([]string{"before"})))
	require.Equal(t, []string{"before"}, values(read(t, r, 1)))

	f.let(t, "bob", "another")
	log.await(t, `as \"bob\" with SCRAM-SHA-256: refused: Authentication failed`)
	require.Contains(t, log.String(), "can't read, trying again")
	require.Contains(t, log.String(), "log in again as")
	err := w.Write(t.Context(), noon([]string{"meanwhile"}))
	require.ErrorContains(t, err, `as "bob" with SCRAM-SHA-256: refused: Authentication failed`)
	require.NotContains(t, err.Error(), "\n")
	t.Log(err)
	require.ErrorContains(t, w.Write(t.Context(), noon([]string{"meanwhile"})), `as "bob" with SCRAM-SHA-256: refused: Authentication failed`)

	err = exact.Write(t.Context(), numberedBatch(2, []string{"never"}))
	require.ErrorContains(t, err, `as "bob" with SCRAM-SHA-256: refused: Authentication failed`)
	t.Log(err)

	f.let(t, "bob", hidden)
	log.await(t, "reading again")
	require.NoError(t, w.Write(t.Context(), noon([]string{"after"})))
	require.Equal(t, []string{"after"}, values(read(t, r, 1)))
	requireHidden(t, log.String())
	t.Log(log)
}
