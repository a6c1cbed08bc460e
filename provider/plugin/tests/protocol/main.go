// Prints every field, enum value and method of the protocol, as the descriptor inside
// terraform-plugin-go says: go run . > fields.txt
package main

import (
	"fmt"
	"sort"

	_ "github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

var lines []string

func kind(field protoreflect.FieldDescriptor) string {
	switch field.Kind() {
	case protoreflect.MessageKind:
		return string(field.Message().FullName())
	case protoreflect.EnumKind:
		return string(field.Enum().FullName())
	}
	return field.Kind().String()
}

func messages(all protoreflect.MessageDescriptors) {
	for i := 0; i < all.Len(); i++ {
		message := all.Get(i)
		fields := message.Fields()
		for j := 0; j < fields.Len(); j++ {
			field := fields.Get(j)
			label := ""
			if field.Cardinality() == protoreflect.Repeated {
				label = "repeated "
			} else if field.HasOptionalKeyword() {
				label = "optional "
			}
			lines = append(lines, fmt.Sprintf("%s = %d %s%s", field.FullName(), field.Number(), label, kind(field)))
		}
		enums(message.Enums())
		messages(message.Messages())
	}
}

func enums(all protoreflect.EnumDescriptors) {
	for i := 0; i < all.Len(); i++ {
		values := all.Get(i).Values()
		for j := 0; j < values.Len(); j++ {
			value := values.Get(j)
			lines = append(lines, fmt.Sprintf("%s.%s = %d", all.Get(i).FullName(), value.Name(), value.Number()))
		}
	}
}

func main() {
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if file.Package() != "tfplugin6" {
			return true
		}
		messages(file.Messages())
		enums(file.Enums())
		for i := 0; i < file.Services().Len(); i++ {
			methods := file.Services().Get(i).Methods()
			for j := 0; j < methods.Len(); j++ {
				method := methods.Get(j)
				line := fmt.Sprintf("rpc %s %s %s", method.Name(), method.Input().FullName(), method.Output().FullName())
				if method.IsStreamingClient() {
					line += " client-streams"
				}
				if method.IsStreamingServer() {
					line += " server-streams"
				}
				lines = append(lines, line)
			}
		}
		return true
	})
	sort.Strings(lines)
	for _, line := range lines {
		fmt.Println(line)
	}
}
