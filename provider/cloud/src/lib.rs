//! HTTP to a cloud API: retry, throttle budget, long-running operations.
