"""Makes documents for tests, sound and hostile."""

import io
import struct
import zipfile
import zlib

import docx
import pptx
import xlsxwriter

WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
WORDS = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def saved(document):
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def docx_file(*parts):
    """Return a document of (style, text) paragraphs, and of lists of rows."""
    document = docx.Document()
    for part in parts:
        if isinstance(part, list):
            table = document.add_table(len(part), len(part[0]))
            for n, row in enumerate(part):
                for column, text in enumerate(row):
                    table.cell(n, column).text = text
        else:
            document.add_paragraph(part[1], style=part[0])
    return saved(document)


def pptx_file(*slides):
    """Return slides of (title, text, notes)."""
    presentation = pptx.Presentation()
    for title, text, notes in slides:
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = text
        if notes:
            slide.notes_slide.notes_text_frame.text = notes
    return saved(presentation)


def xlsx_file(**sheets):
    """Return a workbook of rows by the sheets' names."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True, "default_date_format": "yyyy-mm-dd"}) as workbook:
        for name, rows in sheets.items():
            sheet = workbook.add_worksheet(name)
            for n, row in enumerate(rows):
                sheet.write_row(n, 0, row)
    return file.getvalue()


def pdf_of(objects, trailer=b""):
    """Return a PDF of objects, of which the first is the catalogue."""
    file = b"%PDF-1.7\n"
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(file))
        file += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    start = len(file)
    file += b"xref\n0 %d\n0000000000 65535 f \n%strailer <</Size %d/Root 1 0 R%s>>\n" % (size, table, size, trailer)
    return file + b"startxref\n%d\n%%%%EOF" % start


def stream(content, entries=b""):
    return b"<</Length %d%s>>stream\n%s\nendstream" % (len(content), entries, content)


def text_commands(text):
    lines = b" ".join(b"(%s) Tj T*" % line.encode() for line in text.split("\n"))
    return b"BT /F1 12 Tf 72 700 Td 14 TL %s ET" % lines


FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 3 0 R>>>>/Contents %d 0 R>>"


def pdf_file(*pages):
    """Return a PDF with a text on each page."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * n) for n in range(len(pages)))
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(pages), kids), FONT]
    for n, text in enumerate(pages):
        objects += [PAGE % (5 + 2 * n), stream(text_commands(text))]
    return pdf_of(objects)


def pdf_with_content(content, entries=b""):
    """Return a PDF of one page with a content stream."""
    catalogue, pages = b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count 1/Kids[4 0 R]>>"
    return pdf_of([catalogue, pages, FONT, PAGE % 5, stream(content, entries)])


def pdf_with_flate_bomb(size):
    """Return a PDF whose page is `size` blanks, packed twice."""
    packed = zlib.compress(zlib.compress(b" " * size, 9), 9)
    return pdf_with_content(packed, b"/Filter[/FlateDecode/FlateDecode]")


def encrypted_pdf():
    """Return a PDF that no password opens that one would guess."""
    encrypt = b"<</Filter/Standard/V 1/R 2/P -4/O(%s)/U(%s)>>" % (b"o" * 32, b"u" * 32)
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count 0/Kids[]>>", encrypt]
    return pdf_of(objects, b"/Encrypt 3 0 R/ID[(0123456789abcdef)(0123456789abcdef)]")


def pdf_with_page_loop():
    """Return a PDF whose pages are among their own children."""
    return pdf_of([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count 1000000/Kids[2 0 R 2 0 R]/Parent 2 0 R>>"])


def pdf_with_form_loop(times):
    """Return a PDF whose page draws a form that draws itself so many times."""
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 5 0 R/Resources<<%s/Font<</F1 3 0 R>>>>>>"
    form = b"/XObject<</Loop 6 0 R>>"
    entries = b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<<%s>>" % form
    return pdf_of(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Count 1/Kids[4 0 R]>>",
            FONT,
            page % form,
            stream(text_commands("before") + b" /Loop Do"),
            stream(b"/Loop Do " * times, entries),
        ]
    )


def pdf_with_length_loop():
    """Return a PDF with a page's content whose length is that content."""
    content = text_commands("before")
    looping = b"<</Length 5 0 R>>stream\n%s\nendstream" % content
    catalogue, pages = b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count 1/Kids[4 0 R]>>"
    return pdf_of([catalogue, pages, FONT, PAGE % 5, looping])


def endless_pdf(pages, size):
    """Return a small PDF with `size` bytes of commands on each page that write nothing."""
    kids = b" ".join(b"%d 0 R" % (5 + n) for n in range(pages))
    packed = zlib.compress(zlib.compress(b"q Q " * (size // 4), 9), 9)
    content = stream(packed, b"/Filter[/FlateDecode/FlateDecode]")
    catalogue = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count %d/Kids[%s]>>" % (pages, kids)]
    return pdf_of([*catalogue, FONT, content, *[PAGE % 4] * pages])


def zip_file(entries):
    """Return a zip file of contents by name."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return file.getvalue()


def bare_docx(document, **others):
    """Return a docx file with that XML as its document, and other entries."""
    return zip_file(
        {
            "[Content_Types].xml": f'<Types xmlns="{TYPES}"><Default Extension="rels" ContentType="application/vnd.'
            'openxmlformats-package.relationships+xml"/><Override PartName="/word/document.xml" '
            f'ContentType="{WORD}"/></Types>',
            "_rels/.rels": f'<Relationships xmlns="{RELATIONS}"><Relationship Id="r1" Type="{OFFICE}" '
            'Target="word/document.xml"/></Relationships>',
            "word/document.xml": document,
            **others,
        }
    )


def word_xml(text, before=""):
    return f'<?xml version="1.0"?>{before}<w:document xmlns:w="{WORDS}"><w:body>{text}</w:body></w:document>'


def paragraph(text):
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def billion_laughs():
    """Return a docx file whose text is an entity of entities of entities."""
    entities = '<!ENTITY l0 "lol">' + "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return bare_docx(word_xml(paragraph("before &l9; after"), f"<!DOCTYPE w:document [{entities}]>"))


def external_entity(url):
    """Return a docx file whose text is what is at an address."""
    doctype = f'<!DOCTYPE w:document [<!ENTITY stolen SYSTEM "{url}">]>'
    return bare_docx(word_xml(paragraph("before &stolen; after"), doctype))


def lying_zip(content, stated):
    """Return a docx file with an entry that says it is smaller than it is."""
    file = bytearray(bare_docx(content))
    real = struct.pack("<I", len(content))
    assert file.count(real) >= 2  # in its own header, and in the directory
    return bytes(file.replace(real, struct.pack("<I", stated)))


def overlapping_zip(size, number):
    """Return a zip file whose directory names the same packed bytes again and again (as D. Fifield's bombs do)."""
    content = b"\0" * size
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(content) + packer.flush()
    return packed_zip(b"word/document.xml", packed, size, zlib.crc32(content), number)


def huge_xlsx(gigabytes):
    """Return a workbook that unpacks to so many GiB of blanks, and says it is just below 4."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    mebibyte = packer.compress(b" " * (1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return packed_zip(b"xl/workbook.xml", mebibyte * (gigabytes << 10) + packer.flush(), (1 << 32) - 2, 0)


def packed_zip(name, packed, size, checksum, number=1):
    """Return a zip file of one entry, which its directory names `number` times."""
    facts = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, checksum, len(packed), size, len(name), 0)
    local = b"PK\3\4" + facts + name + packed
    entry = b"PK\1\2" + struct.pack("<H", 20) + facts + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name
    directory = entry * number
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, number, number, len(directory), len(local), 0)
    return local + directory + end


def sheet_xml(cells):
    return (
        '<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        f"{cells}</sheetData></worksheet>"
    )


def with_entry(file, name, content):
    """Return a zip file with one entry replaced."""
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        entries = {entry: archive.read(entry) for entry in archive.namelist()}
    return zip_file({**entries, name: content})


def wide_xlsx():
    """Return a workbook with two cells, at the corners of the largest sheet there is."""
    cells = '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>2</v></c></row>'
    return with_entry(xlsx_file(One=[["x"]]), "xl/worksheets/sheet1.xml", sheet_xml(cells))
