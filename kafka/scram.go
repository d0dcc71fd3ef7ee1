package kafka

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
)

// How often the password may be hashed: less is too weak, and more would keep us
// busy for a broker that is none. Kafka itself allows 4096 to 16384.
const leastHashing, mostHashing = 4096, 1 << 20

// scram is the client's side of SCRAM (RFC 5802), as [sarama.SCRAMClient]. Like
// Kafka, it takes users and passwords as they are, without SASLprep.
type scram struct {
	hash func() hash.Hash

	password string
	bind     string // how the first message begins
	nonce    string // ours
	first    string // the rest of the first message
	want     []byte // the broker's signature
	next     func(challenge string) (string, error)
}

var escape = strings.NewReplacer("=", "=3D", ",", "=2C")

// Begin implements [sarama.SCRAMClient].
func (s *scram) Begin(user, password, authzID string) error {
	if s.nonce == "" {
		s.nonce = rand.Text()
	}
	s.password, s.bind = password, "n,,"
	if authzID != "" {
		s.bind = "n,a=" + escape.Replace(authzID) + ","
	}
	s.first = "n=" + escape.Replace(user) + ",r=" + s.nonce
	s.next = func(string) (string, error) {
		s.next = s.prove
		return s.bind + s.first, nil
	}
	return nil
}

// Step implements [sarama.SCRAMClient].
func (s *scram) Step(challenge string) (string, error) {
	if s.next == nil {
		return "", errors.New("log in: the broker goes on after the end of SCRAM")
	}
	answer, err := s.next(challenge)
	if err != nil {
		return "", fmt.Errorf("log in: %w", err)
	}
	return answer, nil
}

// Done implements [sarama.SCRAMClient].
func (s *scram) Done() bool { return s.next == nil }

// prove answers the broker's first message: that we know the password.
func (s *scram) prove(challenge string) (string, error) {
	nonce, rest, _ := strings.Cut(challenge, ",")
	salt64, rounds, _ := strings.Cut(rest, ",")
	rounds, _, _ = strings.Cut(rounds, ",") // extensions follow
	nonce, isNonce := strings.CutPrefix(nonce, "r=")
	salt64, isSalt := strings.CutPrefix(salt64, "s=")
	rounds, areRounds := strings.CutPrefix(rounds, "i=")
	salt, err := base64.StdEncoding.DecodeString(salt64)
	n, notNumber := strconv.Atoi(rounds)
	switch {
	case !isNonce || !isSalt || !areRounds || err != nil || notNumber != nil || len(salt) == 0:
		return "", errors.New("the broker's first message is not one of SCRAM")
	case !strings.HasPrefix(nonce, s.nonce) || len(nonce) == len(s.nonce):
		return "", errors.New("the broker's answer is not to what we have asked")
	case n < leastHashing || n > mostHashing:
		return "", fmt.Errorf("the broker wants the password hashed %d times; allowed are %d to %d", n, leastHashing, mostHashing)
	}
	salted, err := pbkdf2.Key(s.hash, s.password, salt, n, s.hash().Size())
	if err != nil {
		return "", err
	}
	final := "c=" + base64.StdEncoding.EncodeToString([]byte(s.bind)) + ",r=" + nonce
	said := s.first + "," + challenge + "," + final
	key := s.sign(salted, "Client Key")
	stored := s.hash()
	stored.Write(key)
	proof := s.sign(stored.Sum(nil), said)
	for i := range proof {
		proof[i] ^= key[i]
	}
	s.want = s.sign(s.sign(salted, "Server Key"), said)
	s.next = s.verify
	return final + ",p=" + base64.StdEncoding.EncodeToString(proof), nil
}

// verify looks whether the broker knows the password, too.
func (s *scram) verify(challenge string) (string, error) {
	signature, _, _ := strings.Cut(challenge, ",")
	signature, ok := strings.CutPrefix(signature, "v=")
	if why, failed := strings.CutPrefix(challenge, "e="); failed {
		return "", fmt.Errorf("the broker says %q", why)
	}
	if !ok {
		return "", errors.New("the broker's last message is not one of SCRAM")
	}
	if got, err := base64.StdEncoding.DecodeString(signature); err != nil || !hmac.Equal(got, s.want) {
		return "", errors.New("the broker can't prove that it knows the password; is it the right one?")
	}
	s.next = nil
	return "", nil
}

func (s *scram) sign(key []byte, text string) []byte {
	m := hmac.New(s.hash, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}
