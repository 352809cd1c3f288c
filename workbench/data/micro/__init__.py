"""The emoji world the micro suite is drawn from: concepts, scenes, pictures and language about them."""
