"""A site's file, validated: what every other module knows of the servers that it talks to."""
