package kafka

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/IBM/sarama"
)

// SASL is how to log in to a cluster: as [Plain], [SCRAM256], [SCRAM512] or
// [OAuthBearer] says. The zero value logs in as Config.Client says, if at all;
// that is the place for Kerberos. It does not show its secret, however it is
// printed.
type SASL struct {
	mechanism, user string
	password        func() string // a function prints as an address
	token           func(context.Context) (string, error)
}

// Plain logs in with the password itself, so that it needs TLS.
func Plain(user, password string) SASL { return byPassword(sarama.SASLTypePlaintext, user, password) }

// SCRAM256 logs in by SCRAM-SHA-256, which proves that either side knows the
// password and sends it to neither.
func SCRAM256(user, password string) SASL {
	return byPassword(sarama.SASLTypeSCRAMSHA256, user, password)
}

// SCRAM512 is [SCRAM256] with SHA-512.
func SCRAM512(user, password string) SASL {
	return byPassword(sarama.SASLTypeSCRAMSHA512, user, password)
}

func byPassword(mechanism, user, password string) SASL {
	return SASL{mechanism: mechanism, user: user, password: func() string { return password }}
}

// OAuthBearer logs in with a token of an OAuth server, such as a JWT; it needs
// TLS. The function is called for each connection that is made, and again before
// the session that Kafka grants it ends, also concurrently; so it should keep its
// token until that has nearly expired. It must return when its context ends.
// What its error says is logged.
func OAuthBearer(token func(context.Context) (string, error)) SASL {
	return SASL{mechanism: sarama.SASLTypeOAuth, token: token}
}

// String says who logs in and how: "SCRAM-SHA-512 as alice".
func (s SASL) String() string {
	switch {
	case s.mechanism == "":
		return "none"
	case s.user == "":
		return s.mechanism
	}
	return s.mechanism + " as " + s.user
}

// check finds what is wrong.
func (s SASL) check(fault func(string, ...any)) {
	switch {
	case s.mechanism == "":
	case s.mechanism == sarama.SASLTypeOAuth:
		if s.token == nil {
			fault("SASL: the function that gives tokens is nil")
		}
	case s.user == "":
		fault("SASL: the user is empty")
	case s.password() == "":
		fault("SASL: the password of user %q is empty", s.user)
	case strings.ContainsRune(s.user+s.password(), 0):
		fault("SASL: the user %q or the password has a character 0", s.user)
	}
}

// secure puts TLS and SASL into the client's settings.
func secure(c *sarama.Config, t *tls.Config, s SASL) {
	if t != nil {
		c.Net.TLS.Enable, c.Net.TLS.Config = true, t
	}
	to := &c.Net.SASL
	s.check(func(string, ...any) { s = SASL{} }) // that is told, and not by the client too
	if s.mechanism != "" {
		to.Enable, to.Mechanism, to.User = true, sarama.SASLMechanism(s.mechanism), s.user
		to.Handshake, to.Version = true, sarama.SASLHandshakeV1
		if s.token != nil {
			to.TokenProvider = provider(s.token)
		} else {
			to.Password = s.password()
		}
	}
	switch {
	case to.SCRAMClientGeneratorFunc != nil:
	case to.Mechanism == sarama.SASLTypeSCRAMSHA256:
		to.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scram{hash: sha256.New} }
	case to.Mechanism == sarama.SASLTypeSCRAMSHA512:
		to.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scram{hash: sha512.New} }
	}
}

// checkSecurity finds the faults of the fields TLS, SASL and Client of a Config
// or SinkConfig.
func checkSecurity(t *tls.Config, s SASL, c *sarama.Config, fault func(string, ...any)) {
	s.check(fault)
	if c == nil {
		return
	}
	given := c.Net.SASL.User != "" || c.Net.SASL.Password != "" || c.Net.SASL.TokenProvider != nil
	switch {
	case t != nil && c.Net.TLS.Enable:
		fault("TLS and Client.Net.TLS both say how to encrypt; set one of them")
	case t == nil && c.Net.TLS.Config != nil && !c.Net.TLS.Enable:
		fault("Client.Net.TLS.Config is set and Client.Net.TLS.Enable is not, so nothing would be encrypted; set it, too")
	}
	switch {
	case s.mechanism != "" && (c.Net.SASL.Enable || given):
		fault("SASL and Client.Net.SASL both say how to log in; set one of them")
	case given && !c.Net.SASL.Enable:
		fault("Client.Net.SASL has a user, a password or tokens, and Client.Net.SASL.Enable is not set, so that nobody would log in; set it, too")
	}
}

// warnOpenly warns if a password or a token goes through the network so that
// anybody can read it there.
func warnOpenly(c *sarama.Config, log *slog.Logger) {
	sasl := c.Net.SASL
	if sasl.Enable && !c.Net.TLS.Enable && (sasl.Mechanism == sarama.SASLTypePlaintext || sasl.Mechanism == sarama.SASLTypeOAuth) {
		log.Warn("kafka: the login is not encrypted, so that others in the network can read it; set TLS", "mechanism", string(sasl.Mechanism), "user", sasl.User)
	}
}

// provider gives tokens of a user's function.
type provider func(context.Context) (string, error)

// Token is never called: [tokens] takes its place.
func (p provider) Token() (*sarama.AccessToken, error) { return p.get(context.Background()) }

func (p provider) get(ctx context.Context) (*sarama.AccessToken, error) {
	t, err := p(ctx)
	if err != nil {
		return nil, err
	}
	return &sarama.AccessToken{Token: t}, nil
}

// tokens asks for tokens until the dialer shuts.
type tokens struct {
	owner *dialer
	next  sarama.AccessTokenProvider
	last  atomic.Pointer[string]
}

// Token implements [sarama.AccessTokenProvider].
func (t *tokens) Token() (*sarama.AccessToken, error) {
	if !t.owner.use() {
		return nil, errShut
	}
	token, err := unless(t.owner.life, func() (token *sarama.AccessToken, err error) { // it is the user's, and may not end when it should
		defer t.owner.used.Done()
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v", p)
			}
		}()
		if p, ok := t.next.(provider); ok {
			return p.get(t.owner.life)
		}
		return t.next.Token()
	})
	switch {
	case t.owner.life.Err() != nil:
		return nil, errShut
	case err != nil:
		return nil, fmt.Errorf("log in with %s: get a token: %w", sarama.SASLTypeOAuth, err)
	case token == nil || token.Token == "":
		return nil, fmt.Errorf("log in with %s: the token is empty", sarama.SASLTypeOAuth)
	}
	t.last.Store(&token.Token)
	return token, nil
}
