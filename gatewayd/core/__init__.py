"""What the whole way speaks: model, statuses, errors, interfaces, tokens, retry policy. It knows no other room."""
