terraform {
  required_providers {
    paymesh = { source = "paymesh/paymesh" }
  }
}

provider "paymesh" {
  owner          = "payments/prod"
  default_labels = { team = "payments" }
  azure          = { subscription_id = "00000000-0000-0000-0000-000000000000" }
  google         = { project = "payments-prod" }
}
