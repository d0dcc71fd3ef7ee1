package embedded_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/godstream/godstream/kafka/embedded"
)

func Example() {
	broker, err := embedded.Start(embedded.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer broker.Close()

	tweets := strings.NewReader(`{"timestamp_ms":"1539202764000","text":"tea"}
{"timestamp_ms":"1539202765000","text":"rye"}

{"timestamp_ms":"15392027
`)
	loaded, err := broker.Load(context.Background(), "twitter", tweets, embedded.TimestampField("timestamp_ms"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("records:", loaded.Records)
	fmt.Println("without a time of their own:", loaded.Untimed)
	fmt.Println("blank lines:", loaded.Blank)
	// Output:
	// records: 3
	// without a time of their own: 1
	// blank lines: 1
}
