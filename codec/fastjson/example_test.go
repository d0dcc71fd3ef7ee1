package fastjson_test

import (
	"errors"
	"fmt"

	"github.com/godstream/godstream/codec/fastjson"
)

// Order is the part of an order that is needed.
type Order struct {
	ID    string  `json:"id"`
	Total float64 `json:"total"`
}

func ExampleJSON() {
	orders := fastjson.JSON[Order]().Check(func(o Order) error {
		if o.ID == "" {
			return errors.New("no id")
		}
		return nil
	})
	for _, message := range []string{
		`{"id":"a1","total":12.5,"lines":[{"sku":7},{"sku":9}]}`,
		`{"id":"a2","total":12.5,"lines":[{"sku":07},{"sku":9}]}`, // wrong where nobody looks
		`{"total":3}`,
		`{"id":"a3","total":"much"}`,
	} {
		order, err := orders.Decode([]byte(message))
		fmt.Println(order.ID, order.Total, err)
	}
	b, err := orders.Encode(nil, Order{"a4", 1.25})
	fmt.Println(string(b), err)
	// Output:
	// a1 12.5 <nil>
	//  0 json: invalid character '7' after object key:value pair at byte 41
	//  0 no id
	//  0 json: string where float64 is wanted in total before byte 25
	// {"id":"a4","total":1.25} <nil>
}
