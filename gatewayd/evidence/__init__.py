"""Outside facts about messages: what they prove, the public listener that they come by, unsubscribe pages."""
