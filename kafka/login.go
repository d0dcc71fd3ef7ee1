package kafka

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/IBM/sarama"
)

// refusal is an error of one line that says why a broker that is there can't be
// used, and the way out.
type refusal struct {
	text string
	err  error
}

func (r refusal) Error() string { return r.text }
func (r refusal) Unwrap() error { return r.err }

// login is what a dialer must know about logging in, to tell why it went wrong:
// the client forgets who refused whom, and sometimes why.
type login struct {
	enabled bool
	framed  bool   // answers have a length before them: all but those of the oldest kind of login
	as      string // `as "alice" with PLAIN`
	secret  string
	tokens  *tokens // or nil
}

// newLogin reads the settings, and takes the place of what gives tokens in them.
func newLogin(c *sarama.Config, d *dialer) login {
	s := &c.Net.SASL
	l := login{enabled: s.Enable, framed: !s.Enable || s.Version != sarama.SASLHandshakeV0}
	if !s.Enable {
		return l
	}
	l.secret, l.as = s.Password, fmt.Sprintf("as %q with %s", s.User, s.Mechanism)
	if s.User == "" {
		l.as = fmt.Sprintf("with %s", s.Mechanism)
	}
	if s.TokenProvider != nil {
		l.tokens = &tokens{owner: d, next: s.TokenProvider}
		s.TokenProvider = l.tokens
	}
	return l
}

// hide takes secrets out of a text: a broker may cite what it was told.
func (l login) hide(text string) string {
	secrets := []string{l.secret}
	if l.tokens != nil {
		if last := l.tokens.last.Load(); last != nil {
			secrets = append(secrets, *last)
		}
	}
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "(hidden)")
		}
	}
	return text
}

// way is the way out after a refusal.
func (l login) way() string {
	if l.tokens != nil {
		return "; does the token last, and is it for this cluster?"
	}
	return "; are user and password right?"
}

// encrypt begins TLS on a connection.
func (d *dialer) encrypt(ctx context.Context, raw net.Conn, addr string) (net.Conn, error) {
	if d.patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.patience)
		defer cancel()
	}
	c := d.tls
	if c.ServerName == "" {
		host, _, _ := net.SplitHostPort(addr) // what has been dialed has a port
		c = c.Clone()
		c.ServerName = host
	}
	safe := tls.Client(raw, c)
	if err := safe.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, refusal{fmt.Sprintf("TLS with %s: %s", addr, tlsText(err)), err}
	}
	return safe, nil
}

// with says whether there is TLS.
func (d *dialer) with() string {
	if d.tls != nil {
		return "with"
	}
	return "without"
}

// tlsText says what went wrong with TLS, and the way out.
func tlsText(err error) string {
	text, way := strings.TrimPrefix(err.Error(), "tls: "), ""
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, new(x509.UnknownAuthorityError)):
		way = "put the certificate of its CA into RootCAs of the field TLS"
	case errors.As(err, new(x509.HostnameError)):
		way = "connect by a name that is in its certificate, or set ServerName of the field TLS"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		way = "renew the broker's certificate, or mend the clock"
	case errors.As(err, new(tls.RecordHeaderError)), closed(err):
		way = "is it a port without TLS?"
	case errors.As(err, new(tls.AlertError)), strings.HasPrefix(text, "remote error: "):
		way = "does it want a certificate of this client, from a CA that it trusts? set Certificates of the field TLS"
	}
	switch {
	case closed(err):
		text = "the broker closed the connection"
	case errors.Is(err, context.DeadlineExceeded):
		text, way = "it takes too long", "is it a port without TLS?"
	}
	if way != "" {
		text += "; " + way
	}
	return text
}

// closed says whether the other side has hung up.
func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// The requests with which a connection begins.
const (
	askVersions  = 18
	askMechanism = 17
	askLogin     = 36
)

// greeting is a connection until the first answer to a request that needs a
// login. It reads along to tell why there is none.
type greeting struct {
	conn    *conn
	key     int16 // of the last request; it stays when it is none of a greeting
	version int16 // of that
	frame   []byte
	rest    []byte // of frame, not yet given to the client
	err     error  // after which there is nothing more
}

// asks notes which request comes.
func (g *greeting) asks(request []byte) {
	if g.key == 0 || g.greets() {
		if len(request) < 8 {
			g.key = -1 // no request
			return
		}
		g.key, g.version = int16(binary.BigEndian.Uint16(request[4:])), int16(binary.BigEndian.Uint16(request[6:]))
		if !g.greets() {
			g.key = -1
		}
	}
}

func (g *greeting) greets() bool {
	return g.key == askVersions || g.key == askMechanism || g.key == askLogin
}

// read is Read of the connection.
func (g *greeting) read(p []byte) (int, error) {
	if !g.greets() {
		n, err := g.conn.Conn.Read(p)
		if n > 0 {
			g.conn.greeting.Store(nil)
		} else if err != nil {
			err = g.broke(err)
		}
		return n, err
	}
	if len(g.rest) == 0 && g.err == nil {
		g.err = g.answer()
	}
	if len(g.rest) == 0 {
		return 0, g.err
	}
	n := copy(p, g.rest)
	g.rest = g.rest[n:]
	return n, nil
}

// answer reads one, unless it is a refusal, which it makes an error of.
func (g *greeting) answer() error {
	for need := 4; len(g.frame) < need; {
		part := make([]byte, need-len(g.frame))
		n, err := g.conn.Conn.Read(part)
		g.frame = append(g.frame, part[:n]...)
		if n > 0 {
			g.conn.heard.Store(true)
		} else if err != nil {
			return g.broke(err)
		}
		if len(g.frame) < 4 {
			continue
		}
		size := binary.BigEndian.Uint32(g.frame)
		switch {
		case g.frame[0] == 0x15 && g.frame[1] == 3: // an alert of TLS
			return refusal{g.conn.addr + " expects TLS; set the field TLS", io.EOF} // the client must not ask it again
		case size > 1<<20: // no answer of a greeting; the client knows what to say
			g.conn.greeting.Store(nil)
			g.rest = g.frame
			return nil
		}
		need = 4 + int(size)
	}
	if err := g.refusal(g.frame); err != nil {
		return err
	}
	g.rest, g.frame = g.frame, nil
	return nil
}

// broke explains why a connection broke before there was an answer.
func (g *greeting) broke(err error) error {
	addr, as := g.conn.addr, g.conn.owner.login.as
	if strings.Contains(err.Error(), "remote error: tls: ") {
		return refusal{fmt.Sprintf("TLS with %s: %s", addr, tlsText(err)), err}
	}
	if !closed(err) {
		return err
	}
	text := addr + " closed the connection"
	switch {
	case g.key == askLogin:
		text = fmt.Sprintf("log in at %s %s: the broker closed the connection%s", addr, as, g.conn.owner.login.way())
	case g.conn.owner.haste.Load() == 0: // it is no wrong port, for it has been there before
		return err
	case !g.conn.heard.Load() && g.conn.owner.tls == nil:
		text += "; does it expect TLS? set the field TLS"
	case g.conn.heard.Load() && !g.conn.owner.login.enabled:
		text += "; does it expect a login? set the field SASL"
	}
	return refusal{text, err}
}

// refusal is an error if the answer is one to a login.
func (g *greeting) refusal(frame []byte) error {
	in := fields{frame, nil}
	in.skip(8) // length, correlation
	flexible := g.key == askLogin && g.version >= 2
	if flexible {
		in.skip(1) // tagged fields: none
	}
	code := sarama.KError(int16(in.number(2)))
	if g.key == askVersions || in.err != nil || code == sarama.ErrNoError {
		return nil
	}
	r := refusal{fmt.Sprintf("log in at %s %s: ", g.conn.addr, g.conn.owner.login.as), nil}
	switch {
	case code == sarama.ErrUnsupportedSASLMechanism:
		r.text += "the broker does not know that way; it knows " + strings.Join(in.strings(), ", ")
	case g.key == askMechanism:
		r.text += kafkaText(code) + "; does it want logins at this port?"
	default:
		said := g.conn.owner.login.hide(in.text(flexible))
		r.text += "refused: " + cmp.Or(said, kafkaText(code))
	}
	if code == sarama.ErrSASLAuthenticationFailed { // after others, the client tries another broker
		r.text += g.conn.owner.login.way()
		r.err = code
	}
	return r
}

// told is an error of the client's that says who was refused, if that is what
// happened, and no secret. A login that is renewed is not read along.
func (s *session) told(err error) error {
	if !errors.Is(err, sarama.ErrSASLAuthenticationFailed) || errors.As(err, new(refusal)) {
		return err
	}
	l, text := s.dialer.login, kafkaText(sarama.ErrSASLAuthenticationFailed)
	if _, said, ok := strings.Cut(plain(err).Error(), text+": "); ok {
		text = l.hide(said)
	}
	return refusal{fmt.Sprintf("log in again %s: refused: %s%s", l.as, text, l.way()), err}
}

// kafkaText is what an error of Kafka's says.
func kafkaText(code sarama.KError) string {
	return strings.TrimPrefix(code.Error(), "kafka server: ")
}

// fields reads the fields of an answer. After an error all are zero.
type fields struct {
	rest []byte
	err  error
}

func (f *fields) skip(n int) []byte {
	if n < 0 || n > len(f.rest) {
		f.rest, f.err = nil, io.ErrUnexpectedEOF
		return nil
	}
	skipped := f.rest[:n]
	f.rest = f.rest[n:]
	return skipped
}

// number is a number of 2 or 4 bytes.
func (f *fields) number(bytes int) int {
	switch b := f.skip(bytes); len(b) {
	case 2:
		return int(int16(binary.BigEndian.Uint16(b)))
	case 4:
		return int(int32(binary.BigEndian.Uint32(b)))
	}
	return 0
}

// text is a string on one line, "" for none.
func (f *fields) text(compact bool) string {
	n := 0
	if compact {
		more, used := binary.Uvarint(f.rest)
		f.skip(used)
		n = int(min(more, 1<<20)) - 1
	} else {
		n = f.number(2)
	}
	if n <= 0 {
		return ""
	}
	return strings.Join(strings.Fields(string(bytes.ToValidUTF8(f.skip(n), nil))), " ")
}

func (f *fields) strings() []string {
	var all []string
	for range min(f.number(4), 100) {
		if s := f.text(false); s != "" {
			all = append(all, s)
		}
	}
	slices.Sort(all)
	return all
}
