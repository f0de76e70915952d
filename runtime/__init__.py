"""What every process of Rasid needs and no room owns: batching, logs, metrics, embedded servers."""
