//! Terraform plugin protocol 6 server. Knows no cloud and no Paymesh.
