"""Bodies of browsers' older SDKs: JSON inside a form, inside base64, inside gzip or LZ-String."""
