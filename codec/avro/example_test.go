package avro_test

import (
	"fmt"

	"github.com/godstream/godstream/codec/avro"
	"github.com/godstream/godstream/codec/registry"
	"github.com/godstream/godstream/codec/registry/registrytest"
)

func ExampleCodec() {
	type sale struct {
		Item  string `avro:"item"`
		Cents int64  `avro:"cents"`
	}
	sales := avro.Codec[sale](`{"type":"record","name":"Sale","fields":[
		{"name":"item","type":"string"},
		{"name":"cents","type":"long"}]}`)

	data, err := sales.Encode(nil, sale{"tea", 250})
	fmt.Printf("%q %v\n", data, err)
	fmt.Println(sales.Decode(data))
	_, err = sales.Decode(append(data, "more"...))
	fmt.Println(err)
	// Output:
	// "\x06tea\xf4\x03" <nil>
	// {tea 250} <nil>
	// avro: data is left over at byte 6
}

func ExampleRegistered() {
	server := registrytest.New()
	defer server.Close()
	schemas := registry.New(registry.Config{URL: server.URL})

	type sale struct { // last year's
		Item  string `avro:"item"`
		Cents int32  `avro:"cents"`
	}
	old := avro.Registered[sale](schemas, "sales-value", `{"type":"record","name":"Sale","fields":[
		{"name":"item","type":"string"},
		{"name":"cents","type":"int"}]}`)
	data, err := old.Encode(nil, sale{"tea", 250})
	fmt.Printf("%q %v\n", data, err)

	type saleNow struct {
		Item     string `avro:"item"`
		Cents    int64  `avro:"cents"`
		Currency string `avro:"currency"`
	}
	sales := avro.Registered[saleNow](schemas, "sales-value", `{"type":"record","name":"Sale","fields":[
		{"name":"item","type":"string"},
		{"name":"cents","type":"long"},
		{"name":"currency","type":"string","default":"EUR"}]}`)
	fmt.Println(sales.Decode(data))
	_, err = sales.Decode([]byte("\x00\x00\x00\x00\x09\x06tea"))
	fmt.Println(err)
	// Output:
	// "\x00\x00\x00\x00\x01\x06tea\xf4\x03" <nil>
	// {tea 250 EUR} <nil>
	// registry: schema 9: status 404, code 40403: Schema not found
}
