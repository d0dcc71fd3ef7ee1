package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// tweets makes tweets of about 2,200 bytes in the form of Twitter's API 1.1, the
// same on every run: a hundred thousand authors by Zipf's law, and of a thousand
// lines one that is cut off.
type tweets struct {
	random *rand.Rand
	author *rand.Zipf
	words  []string
}

func newTweets() *tweets {
	random := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("the quick brown fox jumps over lazy dogs while größere Ströme fließen und 東京 は 今日 も 晴れ “quoted” text, with \"escapes\" and\ttabs 🙂 #stream @reader http://t.co/abc")
	return &tweets{random, rand.NewZipf(random, 1.1, 1, 99_999), words}
}

type tweetUser struct {
	ID          int64  `json:"id"`
	IDStr       string `json:"id_str"`
	Name        string `json:"name"`
	ScreenName  string `json:"screen_name"`
	Location    string `json:"location"`
	Description string `json:"description"`
	URL         string `json:"url"`
	Protected   bool   `json:"protected"`
	Followers   int    `json:"followers_count"`
	Friends     int    `json:"friends_count"`
	Listed      int    `json:"listed_count"`
	CreatedAt   string `json:"created_at"`
	Favourites  int    `json:"favourites_count"`
	Statuses    int    `json:"statuses_count"`
	Lang        string `json:"lang"`
	Background  string `json:"profile_background_image_url_https"`
	Image       string `json:"profile_image_url_https"`
	Banner      string `json:"profile_banner_url"`
	LinkColor   string `json:"profile_link_color"`
	TextColor   string `json:"profile_text_color"`
}

type tweetHashtag struct {
	Text    string `json:"text"`
	Indices [2]int `json:"indices"`
}

type wholeTweet struct {
	CreatedAt string    `json:"created_at"`
	ID        int64     `json:"id"`
	IDStr     string    `json:"id_str"`
	Text      string    `json:"text"`
	Source    string    `json:"source"`
	Truncated bool      `json:"truncated"`
	User      tweetUser `json:"user"`
	Geo       *string   `json:"geo"`
	Entities  struct {
		Hashtags []tweetHashtag `json:"hashtags"`
		URLs     []string       `json:"urls"`
	} `json:"entities"`
	Retweets  int    `json:"retweet_count"`
	Favorites int    `json:"favorite_count"`
	Lang      string `json:"lang"`
	Timestamp string `json:"timestamp_ms"`
}

func (t *tweets) text(words int) string {
	var all []string
	for range words {
		all = append(all, t.words[t.random.IntN(len(t.words))])
	}
	return strings.Join(all, " ")
}

// line is tweet i.
func (t *tweets) line(i int) []byte {
	author := int64(t.author.Uint64())
	at := time.Unix(1_484_000_000, 0).Add(time.Duration(i) * time.Millisecond).UTC()
	w := wholeTweet{
		CreatedAt: at.Format(time.RubyDate), ID: 818_000_000_000_000_000 + int64(i), Text: t.text(20),
		Source: `<a href="http://twitter.com/download/android" rel="nofollow">Twitter for Android</a>`, Lang: "en",
		Retweets: t.random.IntN(1000), Favorites: t.random.IntN(1000), Timestamp: strconv.FormatInt(at.UnixMilli(), 10),
		User: tweetUser{
			ID: author, IDStr: fmt.Sprint(author), Name: t.text(2), ScreenName: fmt.Sprintf("user_%05d", author), Location: t.text(3), Description: t.text(25),
			URL: "https://example.com/" + fmt.Sprint(author), Followers: t.random.IntN(1e6), Friends: t.random.IntN(1e4), Listed: t.random.IntN(100),
			CreatedAt: at.AddDate(-3, 0, 0).Format(time.RubyDate), Favourites: t.random.IntN(1e5), Statuses: t.random.IntN(1e5), Lang: "en",
			Background: "https://abs.twimg.com/images/themes/theme1/bg.png", Image: fmt.Sprintf("https://pbs.twimg.com/profile_images/%d/photo_normal.jpg", author),
			Banner: fmt.Sprintf("https://pbs.twimg.com/profile_banners/%d/1484000000", author), LinkColor: "1DA1F2", TextColor: "333333",
		},
	}
	w.IDStr = strconv.FormatInt(w.ID, 10)
	for range 4 + t.random.IntN(6) {
		at := t.random.IntN(100)
		w.Entities.Hashtags = append(w.Entities.Hashtags, tweetHashtag{t.text(1), [2]int{at, at + 7}})
		w.Entities.URLs = append(w.Entities.URLs, "https://example.com/a/rather/long/path/to/an/article/about/streams?with=a&query="+t.text(1))
	}
	line, err := json.Marshal(w)
	if err != nil {
		panic(err) // the type has nothing that can't be written
	}
	if i%1000 == 999 {
		line = line[:len(line)/2]
	}
	return line
}

// write writes so many lines.
func (t *tweets) write(w io.Writer, count int) error {
	for i := range count {
		if _, err := w.Write(append(t.line(i), '\n')); err != nil {
			return err
		}
	}
	return nil
}
