"""Is this an AP lumbar spine, and is it usable?"""
