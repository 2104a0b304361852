"""The peers, one library a file: small programs, as someone who knows that library writes them."""
