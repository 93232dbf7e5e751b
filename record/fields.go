package record

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// prefix leads the names of fields in the journal.
const prefix = "PROGRESSD_"

// otherwise are the fields whose name in the journal isn't their own: these the
// journal has already, as MESSAGE, PRIORITY and its own time, or would take for
// its own.
var otherwise = map[string]string{"message": "", "level": "", "time": "", "id": "EVENT_ID"}

// Fields are what is known of a record, by the names of the journal. Numbers
// are plain decimals, files a JSON array.
func (r Record) Fields() map[string]string {
	fields := map[string]string{}
	v := reflect.ValueOf(r)
	for i := range v.NumField() {
		name := fieldName(v.Type().Field(i))
		if value := v.Field(i); name != "" && !value.IsZero() {
			fields[name] = plainText(value)
		}
	}
	return fields
}

// FieldNames are all that Fields may give.
func FieldNames() []string {
	var names []string
	t := reflect.TypeFor[Record]()
	for i := range t.NumField() {
		if name := fieldName(t.Field(i)); name != "" {
			names = append(names, name)
		}
	}
	return names
}

func fieldName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if other, ok := otherwise[name]; ok {
		if other == "" {
			return ""
		}
		name = other
	}
	return prefix + strings.ToUpper(name)
}

func plainText(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Int64:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Slice:
		array, err := json.Marshal(v.Interface())
		if err != nil {
			return "" // it can't be: there are only strings and integers
		}
		return string(array)
	default: // a test goes through all of them
		return fmt.Sprint(v.Interface())
	}
}
