package codec_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/godstream/godstream/codec"
)

// Tweet is the part of a tweet that is needed; the rest of the document is skipped.
type Tweet struct {
	User struct {
		ScreenName string `json:"screen_name"`
	} `json:"user"`
}

func hasAuthor(t Tweet) error {
	if t.User.ScreenName == "" {
		return errors.New("no user.screen_name")
	}
	return nil
}

func ExampleJSON() {
	tweets := codec.JSON[Tweet]().Check(hasAuthor)
	for _, message := range []string{
		`{"id":1,"user":{"id":7,"screen_name":"ada"}}`,
		`{"limit":{"track":12}}`,
		`{"user":"ada"}`,
		`{"id":1,"us`,
		`null`,
	} {
		tweet, err := tweets.Decode([]byte(message))
		fmt.Printf("%q %v\n", tweet.User.ScreenName, err)
	}
	// Output:
	// "ada" <nil>
	// "" no user.screen_name
	// "" json: string where an object is wanted in user before byte 13
	// "" json: unexpected end of input after 11 bytes
	// "" json: null where an object is wanted
}

func ExampleText() {
	line, err := codec.Text().Decode([]byte("Grüße"))
	fmt.Println(line, err)
	_, err = codec.Text().Decode([]byte("Gr\xfc\xdfe")) // Latin-1
	fmt.Println(err)
	// Output:
	// Grüße <nil>
	// text: invalid UTF-8 at byte 2
}

// Money is an amount in cents, written "12.34 EUR".
type Money struct {
	Cents    int64
	Currency string
}

func ExampleNew() {
	money := codec.New("money",
		func(dst []byte, m Money) ([]byte, error) {
			return fmt.Appendf(dst, "%d.%02d %s", m.Cents/100, m.Cents%100, m.Currency), nil
		},
		func(data []byte) (Money, error) {
			amount, currency, ok := strings.Cut(string(data), " ")
			euros, cents, ok2 := strings.Cut(amount, ".")
			n, err := strconv.ParseInt(euros+cents, 10, 64)
			if !ok || !ok2 || len(cents) != 2 || err != nil {
				return Money{}, fmt.Errorf("money: %.20q is not like 12.34 EUR", data)
			}
			return Money{n, currency}, nil
		})

	b, err := money.Encode(nil, Money{1234, "EUR"})
	fmt.Println(string(b), err)
	fmt.Println(money.Decode([]byte("99.50 NOK")))
	fmt.Println(money.Decode([]byte("99,50 NOK")))
	// Output:
	// 12.34 EUR <nil>
	// {9950 NOK} <nil>
	// {0 } money: "99,50 NOK" is not like 12.34 EUR
}
