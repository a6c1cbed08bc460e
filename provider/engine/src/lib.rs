//! Convergence of a graph of remote objects. Knows neither Terraform nor a cloud.
