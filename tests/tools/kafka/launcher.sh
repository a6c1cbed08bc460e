#!/bin/sh
# Runs a main class of Apache Kafka: `kafka [JVM OPTION...] MAIN [WORD...]`. It becomes the JVM, so
# that a signal to it is one to Kafka.
here=$(cd "$(dirname "$0")" && pwd)
exec java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$here/../jars/*" "$@"
