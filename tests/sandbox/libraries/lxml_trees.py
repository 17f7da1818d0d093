"""XML and HTML trees, XPath, schemas and transformations."""

from lxml import etree, html

root = etree.fromstring(b"<shop><item price='3'>tea</item><item price='5'>cake</item></shop>")
assert root.xpath("sum(item/@price)") == 8
etree.ElementTree(root).write("shop.xml", xml_declaration=True, encoding="utf-8")
assert [element.text for _, element in etree.iterparse("shop.xml", tag="item")] == ["tea", "cake"]
sheet = etree.XSLT(
    etree.fromstring(
        b"<xsl:stylesheet version='1.0' xmlns:xsl='http://www.w3.org/1999/XSL/Transform'>"
        b"<xsl:template match='/'><n><xsl:value-of select='count(//item)'/></n></xsl:template></xsl:stylesheet>"
    )
)
assert sheet(root).getroot().text == "2"
assert html.fromstring("<p>a<b>c</b>").text_content() == "ac"
print("ok")
