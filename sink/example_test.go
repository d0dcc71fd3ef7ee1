package sink_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/godstream/godstream/codec"
	"github.com/godstream/godstream/sink"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
)

type Visit struct {
	Page string
	Ms   int
}

func ExampleFiles() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	app := stream.New(stream.Config{Ticks: stream.Step, Partitions: 2})
	visits := stream.From(app, source.Queue([]Visit{{"/", 12}, {"/tea", 7}}, []Visit{}, []Visit{{"/rye", 3}}))
	pages := stream.Map(visits, func(v Visit) string { return v.Page })
	stream.To(visits, sink.Files(sink.FilesConfig{Dir: dir, Prefix: "visits", Suffix: "json"}, codec.JSON[Visit]().Encode))
	stream.To(pages, sink.Files(sink.FilesConfig{Dir: dir, Prefix: "pages", SkipEmpty: true}, sink.Text[string]))
	if err := app.Run(context.Background()); err != nil {
		log.Fatal(err)
	}

	parts, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		log.Fatal(err)
	}
	for _, path := range parts {
		text, err := os.ReadFile(path)
		if err != nil {
			log.Fatal(err)
		}
		folder := filepath.Base(filepath.Dir(path))
		fmt.Printf("%s/%s %q\n", folder, filepath.Base(path), text)
	}
	// Output:
	// pages-1000/part-00000 "/\n"
	// pages-1000/part-00001 "/tea\n"
	// pages-3000/part-00000 ""
	// pages-3000/part-00001 "/rye\n"
	// visits-1000.json/part-00000 "{\"Page\":\"/\",\"Ms\":12}\n"
	// visits-1000.json/part-00001 "{\"Page\":\"/tea\",\"Ms\":7}\n"
	// visits-2000.json/part-00000 ""
	// visits-2000.json/part-00001 ""
	// visits-3000.json/part-00000 ""
	// visits-3000.json/part-00001 "{\"Page\":\"/rye\",\"Ms\":3}\n"
}

func ExampleFunc() {
	table := map[string][]string{} // stands for a table whose key is the batch

	app := stream.New(stream.Config{Ticks: stream.Step, Partitions: 1})
	words := stream.From(app, source.Queue([]string{"tea", "rye"}, []string{"oat"}))
	stream.To(words, sink.Func(sink.Idempotent, func(_ context.Context, b sink.Batch[string]) error {
		table[b.ID] = nil // what an attempt before may have left
		for _, elements := range b.Parts {
			table[b.ID] = append(table[b.ID], elements...)
		}
		return nil
	}))
	if err := app.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(table)
	// Output:
	// map[1970-01-01T00:00:01.000000000Z:[tea rye] 1970-01-01T00:00:02.000000000Z:[oat]]
}

func ExampleCollect() {
	app := stream.New(stream.Config{Ticks: stream.Step, Partitions: 2})
	words := stream.From(app, source.Queue([]string{"tea", "rye", "tea"}, nil, []string{"oat"}))
	collected := sink.Collect[string]()
	stream.To(words, collected)
	if err := app.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	for _, b := range collected.Batches() {
		fmt.Println(b.Time.Format("15:04:05"), b.Len(), b.Parts)
	}
	// Output:
	// 00:00:01 3 [[tea] [rye tea]]
	// 00:00:02 0 [[] []]
	// 00:00:03 1 [[] [oat]]
}
