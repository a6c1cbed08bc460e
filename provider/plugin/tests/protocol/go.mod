module protocol

go 1.25.0

require github.com/hashicorp/terraform-plugin-go v0.31.0
