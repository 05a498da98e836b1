"""Bodies of older browser SDKs: JSON inside a form, inside base64, inside gzip or LZ-String."""
